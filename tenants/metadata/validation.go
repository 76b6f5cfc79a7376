package metadata

// InputValidation is a webhook that must accept the input of a mutation before
// it begins (contracts §5).
type InputValidation struct {
	// Type is "http".
	Type       string              `json:"type"`
	Definition InputValidationHook `json:"definition"`
}

// InputValidationHook says how the webhook is called.
type InputValidationHook struct {
	URL                  string   `json:"url"`
	Headers              []Header `json:"headers,omitempty"`
	ForwardClientHeaders bool     `json:"forward_client_headers,omitempty"`
	// Timeout in seconds; 0 means 10.
	Timeout int `json:"timeout,omitempty"`
}
