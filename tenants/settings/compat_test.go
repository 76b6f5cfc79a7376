package settings_test

import (
	"strings"
	"testing"

	"tenantry/tenants/settings"
)

func TestCompatSwitchesAreReadStrictly(t *testing.T) {
	t.Parallel()
	got, err := settings.DecodeCompat([]byte(`{"stringify_numeric_types": true, "v1_boolean_null_collapse": null, "infer_function_permissions": true, "ignore_naming_conventions": true, "apollo_federation": true, "client_headers_first": true}`))
	if want := (settings.Compat{StringifyNumericTypes: true, InferFunctionPermissions: true, IgnoreNamingConventions: true, ApolloFederation: true, ClientHeadersFirst: true}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = settings.DecodeCompat([]byte(`{"stringify_numeric_types": "yes", "stringify": true}`))
	if err == nil || !strings.Contains(err.Error(), "/stringify: unknown") || !strings.Contains(err.Error(), "/stringify_numeric_types: expected true or false") {
		t.Errorf("both mistakes are expected, got %v", err)
	}
}
