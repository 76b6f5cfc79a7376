package instance

import (
	"tenantry/api/session"
	"tenantry/services/engine/operation"
)

// OpenAPI is the OpenAPI document of the project's REST endpoints, as the admin
// sees them.
func (i *Instance) OpenAPI() map[string]any {
	s, _ := i.Schema(session.Admin, true)
	return i.Endpoints.OpenAPI(func(query string) (*operation.Described, error) { return operation.Describe(s, query) })
}
