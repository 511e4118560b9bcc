package main

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/guestforge/provision/domainxml"
)

// The part of SARIF 2.1.0 that lint needs, the format in which services as GitHub
// take findings:
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		ColumnKind  string            `json:"columnKind"`
		Results     []sarifResult     `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID            string      `json:"id"`
		Short         sarifText   `json:"shortDescription"`
		Full          sarifText   `json:"fullDescription"`
		HelpURI       string      `json:"helpUri,omitempty"`
		Configuration sarifConfig `json:"defaultConfiguration"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	// sarifInvocation says whether all documents were judged, and why not.
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
	}
)

// sarif is a report in that format; rules are those that were applied.
func (r *report) sarif(rules []domainxml.Rule) sarifLog {
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{"guestctl lint", "https://github.com/guestforge/provision", sarifRules(rules)}},
		Invocations: []sarifInvocation{{Successful: len(r.failed) == 0, Notifications: r.notifications()}},
		ColumnKind:  "unicodeCodePoints",
		Results:     []sarifResult{},
	}
	for _, f := range r.found {
		run.Results = append(run.Results, sarifResult{
			RuleID: f.Rule, RuleIndex: slices.IndexFunc(rules, func(rule domainxml.Rule) bool { return rule.ID == f.Rule }),
			Level: level(f.Severity), Message: sarifText{f.Message},
			Locations: []sarifLocation{{
				sarifPhysical{sarifArtifact{r.uri(f.Source)}, &sarifRegion{f.Line, f.Column}},
				[]sarifLogical{{f.Path}},
			}},
		})
	}
	return sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}
}

func sarifRules(rules []domainxml.Rule) []sarifRule {
	list := []sarifRule{}
	for _, r := range rules {
		s := sarifRule{ID: r.ID, Short: sarifText{r.Title}, Full: sarifText{r.Why}, Configuration: sarifConfig{level(r.Severity)}}
		if u, err := url.Parse(r.Source); err == nil && u.IsAbs() {
			s.HelpURI = r.Source // others name a manual
		}
		list = append(list, s)
	}
	return list
}

// notifications say which documents could not be judged.
func (r *report) notifications() (list []sarifNotification) {
	for _, f := range r.failed {
		list = append(list, sarifNotification{"error", sarifText{f.Error()}, []sarifLocation{{Physical: sarifPhysical{Artifact: sarifArtifact{r.uri(f.source)}}}}})
	}
	return list
}

// fileURI is relative for a relative path, as the services want it.
func fileURI(path string) string {
	u := url.URL{Path: filepath.ToSlash(path)}
	if strings.HasPrefix(u.Path, "/") {
		u.Scheme = "file"
	}
	return u.String()
}

func domainURI(name string) string { return "libvirt-domain:" + url.PathEscape(name) }

// level is SARIF's word for a severity.
func level(s domainxml.Severity) string {
	if s == domainxml.SeverityInfo {
		return "note"
	}
	return string(s)
}
