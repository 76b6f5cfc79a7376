package main

import (
	"context"
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// rowsField appends the response for a statement of plain rows, in Postgres' text
// or binary format: what a server can save that encodes the JSON itself.
func rowsField(ctx context.Context, buf []byte, field string, text bool, sql string, id int64) ([]byte, error) {
	args := []any{id}
	column := appendBinary
	if text {
		args = []any{pgx.QueryResultFormats{pgx.TextFormatCode}, id}
		column = appendText
	}
	rows, err := pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	buf = append(append(append(buf, `{"data":{"`...), field...), `":[`...)
	var described []string
	for n := 0; rows.Next(); n++ {
		fields := rows.FieldDescriptions()
		if n == 0 {
			for _, f := range fields {
				described = append(described, `"`+f.Name+`":`)
			}
		} else {
			buf = append(buf, ',')
		}
		for i, v := range rows.RawValues() {
			if i == 0 {
				buf = append(buf, '{')
			} else {
				buf = append(buf, ',')
			}
			buf = append(buf, described[i]...)
			buf = column(buf, v, fields[i].DataTypeOID)
		}
		buf = append(buf, '}')
	}
	return append(buf, ']', '}', '}'), rows.Err()
}

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// appendBinary writes a column in binary format as JSON by its type.
func appendBinary(b, v []byte, oid uint32) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	switch oid {
	case pgtype.Int8OID:
		return strconv.AppendInt(b, int64(binary.BigEndian.Uint64(v)), 10)
	case pgtype.Int4OID:
		return strconv.AppendInt(b, int64(int32(binary.BigEndian.Uint32(v))), 10)
	case pgtype.BoolOID:
		return strconv.AppendBool(b, v[0] == 1)
	case pgtype.Float8OID:
		return strconv.AppendFloat(b, math.Float64frombits(binary.BigEndian.Uint64(v)), 'g', -1, 64)
	case pgtype.TimestamptzOID:
		micros := int64(binary.BigEndian.Uint64(v))
		t := epoch.Add(time.Duration(micros%1e6) * time.Microsecond).Add(time.Duration(micros/1e6) * time.Second)
		b = append(b, '"')
		b = t.AppendFormat(b, "2006-01-02T15:04:05.999999+00:00")
		return append(b, '"')
	}
	return appendString(b, v)
}

// appendText writes a column in text format as JSON by its type; timestamps get
// the T and the minutes of the zone.
func appendText(b, v []byte, oid uint32) []byte {
	if v == nil {
		return append(b, "null"...)
	}
	switch oid {
	case pgtype.Int8OID, pgtype.Int4OID, pgtype.Float8OID:
		return append(b, v...)
	case pgtype.BoolOID:
		return strconv.AppendBool(b, v[0] == 't')
	case pgtype.TimestamptzOID:
		b = append(b, '"')
		b = append(b, v[:10]...)
		b = append(b, 'T')
		b = append(b, v[11:]...)
		return append(b, `:00"`...)
	}
	return appendString(b, v)
}

const hex = "0123456789abcdef"

func appendString(b, s []byte) []byte {
	b = append(b, '"')
	begin := 0
	for i, c := range s {
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[begin:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		begin = i + 1
	}
	return append(append(b, s[begin:]...), '"')
}
