package domainxml

import "slices"

// namespaceUndeclared finds elements and attributes with a prefix that nobody
// declared. Many tools see nothing wrong with them.
//
// Source: https://www.w3.org/TR/xml-names/#nsc-NSDeclared. Tested with libvirt 9.0,
// which defines the domain and has neither metadata nor qemu:commandline of it.
var namespaceUndeclared = Rule{
	ID: "namespace-undeclared", Severity: SeverityError,
	Title:  "a prefix without a namespace",
	Why:    "libvirt drops what has it, without a word.",
	Source: "https://www.w3.org/TR/xml-names/#nsc-NSDeclared",
	Fails:  `<metadata><panel:customer id='7'/></metadata>`,
	Passes: `<metadata><panel:customer xmlns:panel='https://panel.example.net/1' id='7'/></metadata>`,
	check: func(l *linter) {
		if l.root != l.domain {
			return // the document as a whole has been looked at
		}
		found := l.undeclared()
		var prefixes []string
		for prefix := range found {
			prefixes = append(prefixes, prefix)
		}
		slices.Sort(prefixes)
		for _, prefix := range prefixes {
			l.report(found[prefix], "no xmlns declares the prefix %s", prefix)
		}
	},
}
