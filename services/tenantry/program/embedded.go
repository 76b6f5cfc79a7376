package program

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"

	"tenantry/ops/postgres"
	"tenantry/services/engine/source"
)

// The embedded Postgres listens somewhere else at every start, but the URLs of
// managed databases are stored. They name this folder instead, which does not
// exist, and the dialer below puts the address of the moment in its place.
const embeddedHost = "/tenantry-embedded"

// dialEmbedded leads connections to that folder to where the server of the URL
// listens now, a unix socket or a port.
func dialEmbedded(serverURL string) (source.Dial, error) {
	u, err := url.Parse(serverURL)
	if err != nil {
		return nil, errors.New("the URL of the embedded Postgres cannot be read")
	}
	network, address := "tcp", u.Host
	if u.Host == "" {
		network, address = "unix", u.Query().Get("host")+"/.s.PGSQL."+u.Query().Get("port")
	}
	return func(ctx context.Context, wantNetwork, wantAddress string) (net.Conn, error) {
		if strings.HasPrefix(wantAddress, embeddedHost+"/") {
			wantNetwork, wantAddress = network, address
		}
		return (&net.Dialer{}).DialContext(ctx, wantNetwork, wantAddress)
	}, nil
}

// embeddedCluster makes managed databases on the embedded Postgres.
type embeddedCluster struct{ *postgres.Cluster }

// CreateDatabase is that of the cluster, with a URL that stays true.
func (c embeddedCluster) CreateDatabase(ctx context.Context, name string) (string, error) {
	made, err := c.Cluster.CreateDatabase(ctx, name)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(made)
	if err != nil {
		return "", errors.New("the URL of a managed database cannot be read")
	}
	u.Host = ""
	u.RawQuery = url.Values{"host": {embeddedHost}, "port": {"5432"}}.Encode()
	return u.String(), nil
}
