package metadata

// Action is a registered action (contracts §6.1).
type Action struct {
	Name        string             `json:"name"`
	Comment     string             `json:"comment,omitempty"`
	Definition  ActionDefinition   `json:"definition"`
	Permissions []ActionPermission `json:"permissions,omitempty"`
}

// ActionPermission lets a role call an action.
type ActionPermission struct {
	Role    string `json:"role"`
	Comment string `json:"comment,omitempty"`
}

// ActionDefinition is an action's contract and handler.
type ActionDefinition struct {
	Type                 string     `json:"type,omitempty"` // "mutation" (default) or "query"
	Kind                 string     `json:"kind,omitempty"` // "synchronous" (default) or "asynchronous"
	Arguments            []Argument `json:"arguments,omitempty"`
	OutputType           string     `json:"output_type"`
	Handler              string     `json:"handler"`
	Headers              []Header   `json:"headers,omitempty"`
	ForwardClientHeaders bool       `json:"forward_client_headers,omitempty"`
	IgnoredClientHeaders []string   `json:"ignored_client_headers,omitempty"`
	Timeout              int        `json:"timeout,omitempty"` // seconds; 0, which the dialect allows, means 30
	// Retry says when the handler is called again. Nil means the defaults for an
	// asynchronous action, and once for a synchronous one.
	Retry *ActionRetry `json:"retry,omitempty"`
	// Idempotency says that the handler does a thing once, however often it is called
	// with the same webhook-id: only then may a mutation be retried while its client waits.
	Idempotency bool `json:"idempotency,omitempty"`
	// MaxConcurrency is how many calls of the action may run at a time on each node;
	// 0 is no bound of its own.
	MaxConcurrency int `json:"max_concurrency,omitempty"`
	// ForwardResponseHeaders are the handler's headers that the client gets, beside
	// Set-Cookie.
	ForwardResponseHeaders []string `json:"forward_response_headers,omitempty"`
	// Expose5xxMessage lets the client see the message of a 5xx answer as that of a
	// 4xx one.
	Expose5xxMessage bool `json:"expose_5xx_message,omitempty"`
	// MaxAgeSeconds is how long a run of an asynchronous action may wait for its
	// result; 0 means a day. A synchronous one has none.
	MaxAgeSeconds int `json:"max_age_seconds,omitempty"`
	// RequestTransform and ResponseTransform rewrite what is sent and what came
	// back; nil leaves it as it is.
	RequestTransform  *RequestTransform  `json:"request_transform,omitempty"`
	ResponseTransform *ResponseTransform `json:"response_transform,omitempty"`
}

// ActionRetry says when and how often a handler is called again.
type ActionRetry struct {
	MaxAttempts *int `json:"max_attempts,omitempty"` // nil means 5, and 3 for a synchronous action
	// On are the failures that are tried again: "429", "5xx", "network", and for a
	// synchronous action "connect", "timeout", "502", "503", "504". Empty means all of
	// them; anything else is final.
	On []string `json:"on,omitempty"`
	// Backoff is how many seconds pass before the second attempt, twice as many
	// before the third and so on; 0 means 1, and a fifth of one for a synchronous
	// action.
	Backoff int `json:"backoff,omitempty"`
}

// Argument is one argument of an action.
type Argument struct {
	Name        string `json:"name"`
	Type        string `json:"type"` // a GraphQL type: [Int!]!
	Description string `json:"description,omitempty"`
}

// Header is a header of an outgoing call: a value (may hold {{VAR}}) or the
// name of a variable of the project.
type Header struct {
	Name         string `json:"name"`
	Value        string `json:"value,omitempty"`
	ValueFromEnv string `json:"value_from_env,omitempty"`
}

// CustomTypes are the types that actions use.
type CustomTypes struct {
	Scalars      []ScalarType `json:"scalars,omitempty"`
	Enums        []EnumType   `json:"enums,omitempty"`
	InputObjects []InputType  `json:"input_objects,omitempty"`
	Objects      []ObjectType `json:"objects,omitempty"`
}

// ScalarType is a custom scalar: any JSON.
type ScalarType struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

// EnumType is a custom enum.
type EnumType struct {
	Name        string      `json:"name"`
	Description string      `json:"description,omitempty"`
	Values      []EnumValue `json:"values"`
}

// EnumValue is one value of a custom enum.
type EnumValue struct {
	Value        string `json:"value"`
	Description  string `json:"description,omitempty"`
	IsDeprecated bool   `json:"is_deprecated,omitempty"`
}

// InputType is a custom input object.
type InputType struct {
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Fields      []Argument `json:"fields"`
}

// ObjectType is a custom output object.
type ObjectType struct {
	Name          string             `json:"name"`
	Description   string             `json:"description,omitempty"`
	Fields        []Argument         `json:"fields"`
	Relationships []TypeRelationship `json:"relationships,omitempty"`
}

// TypeRelationship joins an output object with a table.
type TypeRelationship struct {
	Name         string            `json:"name"`
	Type         string            `json:"type"` // "object" or "array"
	Source       string            `json:"source,omitempty"`
	RemoteTable  TableName         `json:"remote_table"`
	FieldMapping map[string]string `json:"field_mapping"` // field of the object → column of the table
}
