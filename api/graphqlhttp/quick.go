package graphqlhttp

import "tenantry/api/plainjson"

// quick reads one request in one pass: the members that Request has, each once, in
// JSON of the plainest kind. It reports false for everything else, mistakes among it,
// and encoding/json decides then: whatever quick takes, that takes for the same.
func quick(body []byte) (Request, bool) {
	p := plainjson.New(body)
	var r Request
	if !plainRequest(&p, &r) || !p.End() {
		return Request{}, false
	}
	return r, true
}

// The members of a request, as bits of those that were seen.
const (
	memberQuery = 1 << iota
	memberOperationName
	memberVariables
	memberExtensions
	memberDocumentID
)

func plainRequest(p *plainjson.Parser, r *Request) bool {
	seen := 0
	return p.Members(func(key []byte) bool {
		member, ok := 0, false
		switch string(key) {
		case "query":
			member = memberQuery
			r.Query, ok = p.Text()
		case "operationName":
			member = memberOperationName
			r.OperationName, ok = p.TextOrNull()
		case "variables":
			member = memberVariables
			r.Variables, ok = p.ObjectOrNull()
		case "extensions":
			member = memberExtensions
			r.Extensions, ok = p.ObjectOrNull()
		case "documentId":
			member = memberDocumentID
			r.DocumentID, ok = p.TextOrNull()
		}
		if seen&member != 0 {
			return false
		}
		seen |= member
		return ok
	})
}
