package authz

// Allowed are the builtin functions that modules may use.
var Allowed = allowed
