package errcode

import "net/http"

// Code is a stable, documented error code (contracts §1.9).
type Code string

// The codes of the dialect.
const (
	AccessDenied         Code = "access-denied"
	AlreadyExists        Code = "already-exists"
	AlreadyTracked       Code = "already-tracked"
	AlreadyUntracked     Code = "already-untracked"
	BadRequest           Code = "bad-request"
	Busy                 Code = "busy"
	CoercionError        Code = "coercion-error"
	ConcurrentUpdate     Code = "concurrent-update"
	Conflict             Code = "conflict"
	ConnectionFailed     Code = "connection-not-established"
	ConstraintError      Code = "constraint-error"
	ConstraintViolation  Code = "constraint-violation"
	CyclicDependency     Code = "cyclic-dependency"
	DataException        Code = "data-exception"
	DependencyError      Code = "dependency-error"
	InvalidConfiguration Code = "invalid-configuration"
	InvalidHeaders       Code = "invalid-headers"
	InvalidJSON          Code = "invalid-json"
	InvalidParams        Code = "invalid-params"
	InvalidJWT           Code = "invalid-jwt"
	JWTInvalidClaims     Code = "jwt-invalid-claims"
	JWTMissingRoleClaims Code = "jwt-missing-role-claims"
	MethodNotAllowed     Code = "method-not-allowed"
	NotExists            Code = "not-exists"
	NotFound             Code = "not-found"
	NotSupported         Code = "not-supported"
	ParseFailed          Code = "parse-failed"
	PermissionDenied     Code = "permission-denied"
	PermissionError      Code = "permission-error"
	PostgresError        Code = "postgres-error"
	PostgresMaxConns     Code = "postgres-max-connections-error"
	StartFailed          Code = "start-failed"
	TemplateFailed       Code = "template-resolution-failed"
	Timeout              Code = "timeout"
	Unexpected           Code = "unexpected"
	UnexpectedPayload    Code = "unexpected-payload"
	ValidationFailed     Code = "validation-failed"
)

// The codes of limits.
const (
	RateLimitExceeded  Code = "rate-limit-exceeded"
	DepthLimitExceeded Code = "depth-limit-exceeded"
	NodeLimitExceeded  Code = "node-limit-exceeded"
	TimeLimitExceeded  Code = "time-limit-exceeded"
	BatchLimitExceeded Code = "batch-limit-exceeded"
)

// The codes that are Tenantry's own.
const (
	CostLimitExceeded      Code = "cost-limit-exceeded"
	DocumentLimitExceeded  Code = "document-limit-exceeded"
	ActionTimeout          Code = "action-timeout"
	ActionUnreachable      Code = "action-unreachable"
	ActionCircuitOpen      Code = "action-circuit-open"
	ActionOverloaded       Code = "action-overloaded"
	ActionResponseTooLarge Code = "action-response-too-large"
	ActionRecursionLimit   Code = "action-recursion-limit"
	ActionExpired          Code = "action-expired"
	ActionCancelled        Code = "action-cancelled"
	IdempotencyConflict    Code = "idempotency-conflict"
	IdempotencyInProgress  Code = "idempotency-in-progress"
	BlockedEgress          Code = "blocked-egress"
	PolicyTimeout          Code = "policy-timeout"
	PermissionTestFailed   Code = "permission-test-failed"
	QuotaExceeded          Code = "quota-exceeded"
	ProjectSuspended       Code = "project-suspended"
	PoolTimeout            Code = "pool-timeout"
	PersistedQueryNotFound Code = "persisted-query-not-found"
	Unauthorized           Code = "unauthorized"
)

// statuses lists the codes whose HTTP status is not 400, the default.
var statuses = map[Code]int{
	AccessDenied:           http.StatusUnauthorized,
	Unauthorized:           http.StatusUnauthorized,
	InvalidJWT:             http.StatusUnauthorized,
	Conflict:               http.StatusConflict,
	IdempotencyConflict:    http.StatusConflict,
	IdempotencyInProgress:  http.StatusConflict,
	NotFound:               http.StatusNotFound,
	MethodNotAllowed:       http.StatusMethodNotAllowed,
	PermissionDenied:       http.StatusForbidden,
	ProjectSuspended:       http.StatusForbidden,
	QuotaExceeded:          http.StatusForbidden,
	PolicyTimeout:          http.StatusForbidden,
	RateLimitExceeded:      http.StatusTooManyRequests,
	PostgresError:          http.StatusInternalServerError,
	Unexpected:             http.StatusInternalServerError,
	ConnectionFailed:       http.StatusServiceUnavailable,
	PostgresMaxConns:       http.StatusServiceUnavailable,
	PoolTimeout:            http.StatusServiceUnavailable,
	ActionUnreachable:      http.StatusBadGateway,
	ActionResponseTooLarge: http.StatusBadGateway,
	ActionTimeout:          http.StatusGatewayTimeout,
	TimeLimitExceeded:      http.StatusGatewayTimeout,
	ActionCircuitOpen:      http.StatusServiceUnavailable,
	ActionOverloaded:       http.StatusServiceUnavailable,
	InvalidConfiguration:   http.StatusInternalServerError,
}

// Status is the HTTP status that belongs to c: 400 unless listed otherwise.
func (c Code) Status() int {
	if s, ok := statuses[c]; ok {
		return s
	}
	return http.StatusBadRequest
}
