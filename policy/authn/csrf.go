package authn

import (
	"errors"
	"mime"
	"strings"

	"tenantry/api/errcode"
)

// deliberate are headers that a page of another origin cannot send without asking
// first (a preflight, which CORS answers).
var deliberate = []string{"x-requested-with", "apollo-require-preflight", "x-apollo-operation-name", "graphql-require-preflight", "x-csrf-token"}

// formTypes are the content types that any page may send without asking.
var formTypes = map[string]bool{"": true, "application/x-www-form-urlencoded": true, "multipart/form-data": true, "text/plain": true}

// forgeable reports whether a page of another origin could have made a browser
// send the request, with the cookies that it keeps for this host.
func forgeable(c Call) bool {
	if c.OriginChecked {
		return false
	}
	switch site, _ := c.Headers.Lookup("sec-fetch-site"); strings.ToLower(site) {
	case "same-origin", "none": // pages cannot set it
		return false
	}
	for _, name := range deliberate {
		if _, present := c.Headers.Lookup(name); present {
			return false
		}
	}
	own := false
	c.Headers.All(func(name, _ string) { own = own || len(name) > 9 && strings.EqualFold(name[:9], "x-hasura-") })
	if own {
		return false
	}
	content, _ := c.Headers.Lookup("content-type")
	media, _, err := mime.ParseMediaType(content)
	// What can't be read is sent without asking by some browsers.
	return err != nil || formTypes[media]
}

// checkForgery refuses a request whose credential is a cookie, unless its page
// meant to send it.
func checkForgery(c Call) error {
	if !forgeable(c) {
		return nil
	}
	return errcode.New(errcode.AccessDenied,
		"a request that authenticates by cookie needs the content type application/json or the header X-Requested-With: pages of other origins can send it otherwise").Because(errForgery)
}

var errForgery = errors.New("a page of another origin could have sent it")

// byCookie reports whether a webhook can have nothing but cookies to go by.
func byCookie(h Headers) bool {
	if _, present := h.Lookup("cookie"); !present {
		return false
	}
	authorization, present := h.Lookup("authorization")
	scheme, _, _ := strings.Cut(strings.TrimSpace(authorization), " ")
	// Browsers repeat Basic and Digest by themselves, as they do cookies.
	return !present || !strings.EqualFold(scheme, "bearer")
}
