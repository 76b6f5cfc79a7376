package e2e

import (
	"net/http"
	"testing"
)

func TestAPathThatIsNotThereAndAMethodThatIsNotAllowedAreToldApart(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/nothing", http.StatusNotFound},
		{http.MethodPost, "/v1/nothing", http.StatusNotFound},
		{http.MethodDelete, "/v1/graphql", http.StatusMethodNotAllowed},
		{http.MethodGet, "/v1/metadata", http.StatusMethodNotAllowed},
		{http.MethodOptions, "/v1/graphql", http.StatusNoContent},
	} {
		if a := send(t, c.method, s.Demo.Project.URL+c.path, nil, nil); a.Status != c.status {
			t.Errorf("%s %s: %d, expected %d: %s", c.method, c.path, a.Status, c.status, a.Text)
		}
	}
}
