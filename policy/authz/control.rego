# Who may call what of the control API. The service hands in the caller, the
# class of the operation and whose thing it is about; whatever is not said here
# is denied. A thing of another tenant is denied to everyone but the operator,
# and the service answers as if it did not exist.
package tenantry.control

default allow := false

# The operator of the installation.
allow if {
	input.caller.kind == "operator"
	input.class in known
}

# Without a key: sign-up where it is open, health, the OpenAPI document.
allow if input.class == "public"

# Whoever has a valid key may ask who it is.
allow if {
	input.class == "self"
	input.caller.kind in {"tenant_key", "project_key"}
}

# Keys of a tenant: the role says which classes.
allow if {
	input.caller.kind == "tenant_key"
	own_tenant
	input.class in classes[input.caller.role]
}

# Keys of a project: the scopes say which classes, in that project alone.
allow if {
	input.caller.kind == "project_key"
	own_tenant
	input.caller.project != ""
	input.caller.project == input.target.project
	some scope in input.caller.scopes
	input.class in scopes[scope]
}

own_tenant if {
	input.caller.tenant != ""
	input.caller.tenant == input.target.tenant
}

known := {"public", "self", "read", "write", "secrets", "admin", "owner", "billing", "operator", "metrics", "audit"}

classes := {
	"owner": {"read", "write", "secrets", "admin", "owner", "billing", "metrics", "audit"},
	"admin": {"read", "write", "secrets", "admin", "billing", "metrics", "audit"},
	"developer": {"read", "write", "metrics", "audit"},
	"viewer": {"read", "metrics"},
	"billing": {"billing"},
}

scopes := {
	"metadata:read": {"read"},
	"metadata:write": {"read", "write"},
	"metrics:read": {"metrics"},
	"audit:read": {"audit"},
}
