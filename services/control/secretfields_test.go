package control_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// The OpenAPI document is where clients, and the tests that plant canaries, find
// out which properties are secret; the document knows it from the tags.
func TestEverySecretOfABodyIsMarkedInTheDocument(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range names {
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok || field.Tag == nil || !mentionsSecret(field.Type) {
				return true
			}
			found++
			text, err := strconv.Unquote(field.Tag.Value)
			tag := reflect.StructTag(text)
			if err != nil || tag.Get("format") != "password" || tag.Get("writeOnly") != "true" {
				t.Errorf("%s: a field of the type vault.Secret has the tag %s; expected also format:\"password\" writeOnly:\"true\"",
					files.Position(field.Pos()), strings.Trim(field.Tag.Value, "`"))
			}
			return true
		})
	}
	if found == 0 {
		t.Error("no field of the type vault.Secret was found")
	}
}

// mentionsSecret reports whether a type is vault.Secret, or made of it.
func mentionsSecret(t ast.Expr) bool {
	found := false
	ast.Inspect(t, func(n ast.Node) bool {
		if _, nested := n.(*ast.StructType); nested {
			return false // its own fields are looked at by themselves
		}
		selector, ok := n.(*ast.SelectorExpr)
		if !ok || selector.Sel.Name != "Secret" {
			return true
		}
		from, _ := selector.X.(*ast.Ident)
		found = found || from != nil && from.Name == "vault"
		return true
	})
	return found
}
