package template

// braces reads {{ expression }} or a block that begins here.
func (p *parser) braces() *node {
	p.enter()
	defer func() { p.level-- }()
	start := p.at
	p.expect("{{")
	p.space()
	var n *node
	switch wordAt(p.source, p.at) {
	case "if":
		p.at += len("if")
		n = p.branch()
	case "range":
		p.at += len("range")
		n = p.loop()
	default:
		inner := *p.operators(true, 0)
		n = &inner
		p.expect("}}")
		return n // errors point at the expression, not at the braces
	}
	n.from, n.to = start, p.at
	return n
}

// keyword reads {{ word and reports whether it was there.
func (p *parser) keyword(word string) bool {
	before := p.at
	if p.space(); p.accept("{{") {
		if p.space(); wordAt(p.source, p.at) == word {
			p.at += len(word)
			return true
		}
	}
	p.at = before
	return false
}

// branch reads what follows {{ if.
func (p *parser) branch() *node {
	n := &node{kind: branch}
	for {
		condition := p.operators(true, 0)
		p.expect("}}")
		n.operands = append(n.operands, condition, p.operators(false, 0))
		if !p.keyword("elif") {
			break
		}
	}
	if !p.keyword("else") {
		p.space()
		p.unexpected("{{ elif }} or {{ else }}")
	}
	p.expect("}}")
	n.operands = append(n.operands, p.operators(false, 0))
	p.end()
	return n
}

func (p *parser) end() {
	if !p.keyword("end") {
		p.space()
		p.unexpected("{{ end }}")
	}
	p.expect("}}")
}

// loop reads what follows {{ range.
func (p *parser) loop() *node {
	n := &node{kind: loop}
	index := p.binder()
	p.expect(",")
	element := p.binder()
	p.expect(":=")
	list := p.operators(true, 0)
	p.expect("}}")
	scope := p.scope
	p.scope = append(append(scope[:len(scope):len(scope)], index), element)
	body := p.operators(false, 0)
	p.scope = scope
	p.end()
	n.keys, n.operands = []string{index, element}, []*node{list, body}
	return n
}

// binder reads the name of a range's variable; _ binds nothing.
func (p *parser) binder() string {
	p.space()
	name := wordAt(p.source, p.at)
	if name == "" || reserved[name] && name != "_" {
		p.unexpected("a name or _")
	}
	p.at += len(name)
	return name
}
