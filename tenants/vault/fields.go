package vault

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

var secretType = reflect.TypeFor[Secret]()

// SecretFields returns the paths of all fields of type Secret that a value of
// type t can reach: "Auth.JWT[].Key", "Database.URL", "Extra{}" for the values
// of a map. A type that contains itself is entered once. Tests plant a canary
// in each of them.
func SecretFields(t reflect.Type) []string {
	var paths []string
	secretFields(t, "", map[reflect.Type]bool{}, &paths)
	return paths
}

func secretFields(t reflect.Type, path string, open map[reflect.Type]bool, paths *[]string) {
	if t == secretType {
		*paths = append(*paths, path)
		return
	}
	if open[t] {
		return
	}
	open[t] = true
	defer delete(open, t)
	switch t.Kind() {
	case reflect.Pointer:
		secretFields(t.Elem(), path, open, paths)
	case reflect.Slice, reflect.Array:
		secretFields(t.Elem(), path+"[]", open, paths)
	case reflect.Map:
		secretFields(t.Elem(), path+"{}", open, paths)
	case reflect.Struct:
		for f := range t.Fields() {
			secretFields(f.Type, strings.TrimPrefix(path+"."+f.Name, "."), open, paths)
		}
	}
}

// Extract returns the texts of all secrets that are not empty in the value that
// v points to, by place ("Auth.JWT.0.Key"). With Restore it is how a value with
// secrets is stored: its ordinary encoding, which masks them, beside this map.
// Secrets inside maps and interfaces are refused, since they can't be put back.
func Extract(v any) (map[string]string, error) {
	found := map[string]string{}
	err := visit(reflect.ValueOf(v), "", func(path string, s *Secret) {
		if !s.IsZero() {
			found[path] = s.Reveal()
		}
	})
	return found, err
}

// Restore sets every secret of the value that v points to from what Extract
// returned; those that it does not name become empty.
func Restore(v any, found map[string]string) error {
	used := 0
	err := visit(reflect.ValueOf(v), "", func(path string, s *Secret) {
		text, ok := found[path]
		if ok {
			used++
		}
		*s = NewSecret(text)
	})
	if err == nil && used != len(found) {
		return fmt.Errorf("vault: %d stored secrets have no place in %T", len(found)-used, v)
	}
	return err
}

func visit(v reflect.Value, path string, f func(path string, s *Secret)) error {
	if v.IsValid() && v.Type() == secretType {
		f(path, v.Addr().Interface().(*Secret))
		return nil
	}
	below := func(name string) string { return strings.TrimPrefix(path+"."+name, ".") }
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return visit(v.Elem(), path, f)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := visit(v.Index(i), below(strconv.Itoa(i)), f); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() {
				if len(SecretFields(field.Type)) > 0 {
					return fmt.Errorf("vault: secret in the unexported field %s of %s", field.Name, v.Type())
				}
				continue
			}
			if err := visit(v.Field(i), below(field.Name), f); err != nil {
				return err
			}
		}
	case reflect.Map:
		if len(SecretFields(v.Type())) > 0 {
			return fmt.Errorf("vault: secret inside a map at %s", path)
		}
	}
	return nil
}
