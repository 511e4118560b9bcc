package hostnet

// ruleset is what the kernel has of our tables.
type ruleset map[string]table

type table map[string]*filterChain

// filterChain is one of a NIC.
type filterChain struct {
	devices   []string
	drops     bool     // its policy
	atIngress bool     // it is a filter at the ingress hook with priority 0
	rules     []string // as ruleKey, in their order
}

// ruleKey is what a rule is compared by.
func ruleKey(verdict, comment string) string { return verdict + " # " + comment }
