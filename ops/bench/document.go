package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// The last table stands between these lines of the document.
const (
	tableBegin = "<!-- last table: begin -->"
	tableEnd   = "<!-- last table: end -->"
)

// keep writes the table into the document, and its picture beside it.
func keep(document, machine string, rows []row, program []outcome) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	out, err := between(string(text), markdown(machine, rows, program))
	if err != nil {
		return fmt.Errorf("%s: %w", document, err)
	}
	if err := os.WriteFile(document, []byte(out), 0o644); err != nil {
		return err
	}
	return os.WriteFile(strings.TrimSuffix(document, ".md")+".svg", []byte(picture(rows)), 0o644)
}

// between replaces what stands between the two lines.
func between(text, content string) (string, error) {
	before, rest, ok := strings.Cut(text, tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		return "", errors.New("the lines around the last table are missing: " + tableBegin + " and " + tableEnd)
	}
	return before + tableBegin + "\n" + content + tableEnd + after, nil
}

func markdown(machine string, rows []row, program []outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\n\n| %s |\n| --- |%s\n", machine, strings.Join(columns, " | "), strings.Repeat(" ---: |", len(columns)-1))
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(r.cells(), " | "))
	}
	b.WriteString("\n![Requests per second as a share of the floor's](performance.svg)\n\n")
	for _, o := range program {
		fmt.Fprintf(&b, "- %s\n", o.sentence())
	}
	missed := 0
	for _, r := range rows {
		for _, o := range r.judge() {
			if !o.met {
				missed++
				fmt.Fprintf(&b, "- %s\n", o.sentence())
			}
		}
	}
	if missed == 0 {
		b.WriteString("- all targets of the rows are met\n")
	}
	return b.String()
}

// Sizes of the picture, in pixels.
const (
	barHeight, barGap    = 18, 8
	labelWidth           = 40
	unitWidth            = 320 // of a ratio of 1
	pictureWidth, margin = 560, 12
)

// picture draws the ratios as bars, with the floor and each target as lines.
func picture(rows []row) string {
	height := margin + len(rows)*(barHeight+barGap) + 28
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", pictureWidth, height, pictureWidth, height)
	b.WriteString("<title>Requests per second as a share of the floor's, with the target of each query</title>\n")
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", pictureWidth, height)
	bottom := height - 24
	for i, r := range rows {
		y := margin + i*(barHeight+barGap)
		colour := "#3b7dd8"
		if rounded(r.ratio) < r.query.ratio {
			colour = "#d8833b"
		}
		width := int(min(r.ratio, 1.45) * unitWidth)
		target := labelWidth + int(r.query.ratio*unitWidth)
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#222222">%s</text>`+"\n", margin, y+barHeight-5, r.name)
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n", labelWidth, y, width, barHeight, colour)
		fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#222222" stroke-width="2"/>`+"\n", target, y-2, target, y+barHeight+2)
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#222222">%.2f</text>`+"\n", max(labelWidth+width, target)+6, y+barHeight-5, r.ratio)
	}
	floor := labelWidth + unitWidth
	fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="#888888" stroke-dasharray="4 3"/>`+"\n", floor, margin-6, floor, bottom)
	fmt.Fprintf(&b, `<text x="%d" y="%d" fill="#555555">requests per second, floor = 1; short lines are the targets</text>`+"\n", labelWidth, height-8)
	b.WriteString("</svg>\n")
	return b.String()
}
