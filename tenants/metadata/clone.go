package metadata

import "reflect"

// Clone is a copy of the document that shares nothing with it.
func (d *Document) Clone() *Document {
	to := &Document{}
	deepCopy(reflect.ValueOf(to).Elem(), reflect.ValueOf(d).Elem())
	return to
}

// deepCopy copies from to to; the document's types have no cycles and no
// unexported fields.
func deepCopy(to, from reflect.Value) {
	switch from.Kind() {
	case reflect.Pointer:
		if !from.IsNil() {
			to.Set(reflect.New(from.Type().Elem()))
			deepCopy(to.Elem(), from.Elem())
		}
	case reflect.Struct:
		for i := range from.NumField() {
			deepCopy(to.Field(i), from.Field(i))
		}
	case reflect.Slice:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeSlice(from.Type(), from.Len(), from.Len()))
		if from.Type().Elem().Kind() == reflect.Uint8 {
			reflect.Copy(to, from)
			return
		}
		for i := range from.Len() {
			deepCopy(to.Index(i), from.Index(i))
		}
	case reflect.Map:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeMapWithSize(from.Type(), from.Len()))
		for all := from.MapRange(); all.Next(); {
			value := reflect.New(from.Type().Elem()).Elem()
			deepCopy(value, all.Value())
			to.SetMapIndex(all.Key(), value)
		}
	default:
		to.Set(from)
	}
}
