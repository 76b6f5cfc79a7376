package codegen

import (
	"strconv"
	"strings"
)

// delegate makes the handler run an operation.
func (v *view) delegate(o Options, literal func(string) string) {
	if o.Delegate != nil {
		v.Operation, v.Field = literal(o.Delegate.Operation), o.Delegate.Field
	}
}

// goText, tsText and pyText write a text of several lines.
func goText(text string) string {
	if strings.Contains(text, "`") {
		return strconv.Quote(text)
	}
	return "`" + text + "`"
}

func tsText(text string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`", "${", `\${`).Replace(text) + "`"
}

func pyText(text string) string {
	return `"""` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"""`
}
