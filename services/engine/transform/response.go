package transform

import (
	"encoding/json"
	"strconv"

	"tenantry/services/engine/template"
	"tenantry/tenants/metadata"
)

// Response is a compiled response_transform. It is safe for concurrent use; nil
// leaves an answer as it is.
type Response struct {
	body      *template.Template
	errorWhen *template.Template
}

// CompileResponse compiles a transform, or says all that is wrong with it.
func CompileResponse(doc *metadata.ResponseTransform) (*Response, Mistakes) {
	if doc == nil {
		return nil, nil
	}
	c := &compiler{variables: responseVariables}
	c.frame(doc.Version, doc.TemplateEngine, doc.Body)
	r := &Response{}
	if doc.Body != nil {
		if doc.Body.Action != metadata.BodyTransform {
			c.mistakes.wrong(".body.action", "expected transform")
		}
		r.body, _ = c.body(doc.Body)
	}
	if doc.ErrorWhen != "" {
		var err *template.Error
		r.errorWhen, err = template.ParseExpression(doc.ErrorWhen, c.variables...)
		c.mistakes.add(".error_when", err)
	}
	if len(c.mistakes) > 0 {
		return nil, c.mistakes
	}
	return r, nil
}

// TakesText reports whether the transform reads answers as text: then they need not
// be JSON.
func (r *Response) TakesText() bool {
	return r != nil && r.body != nil && r.body.Reads("$response", "text")
}

// TakesNothing reports whether the transform says what to make of an answer without
// a body.
func (r *Response) TakesNothing() bool { return r != nil && r.body != nil }

// Apply rewrites the decoded body of an answer. refusal is true when the
// transform takes a successful answer as an error.
func (r *Response) Apply(status int, body any, in Context) (out any, refusal bool, err error) {
	if r == nil {
		return body, false, nil
	}
	request := in.data().Variables
	data := template.Data{Session: in.Session, Variables: map[string]any{
		"$body":              body,
		"$response":          map[string]any{"status": json.Number(strconv.Itoa(status)), "text": in.Text},
		"$session_variables": request["$session_variables"],
		"$request": map[string]any{
			"body": in.Body, "base_url": in.BaseURL, "session_variables": request["$session_variables"],
		},
	}}
	var mistakes Mistakes
	if r.errorWhen != nil && status/100 == 2 {
		var mistake *template.Error
		refusal, mistake = r.errorWhen.True(data)
		mistakes.add(".error_when", mistake)
	}
	out = body
	if r.body != nil {
		text, mistake := r.body.JSON(data)
		mistakes.add(".body", mistake)
		if mistake == nil {
			if out, err = Decode(text); err != nil {
				mistakes.wrong(".body", "the result is not JSON")
			}
		}
	}
	if len(mistakes) > 0 {
		return nil, false, mistakes
	}
	return out, refusal, nil
}
