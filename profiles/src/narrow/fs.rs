//! Fewer rights to files.

use super::NarrowError;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, FsPolicy, FsRule, Lookup, Policy, Scope};

/// Somewhere a call wants to keep writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writable {
    /// An existing file or folder, canonical: the caller has followed symbolic links.
    pub path: AbsPath,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// What both allow. Rights add up over rules, so the rules both have in common are those of each
/// pair: where they overlap, what both give.
pub(super) fn intersection(a: &FsPolicy, b: &FsPolicy) -> FsPolicy {
    let mut rules = Vec::new();
    for rule in &a.rules {
        rules.extend(b.rules.iter().filter_map(|other| overlap(rule, other)));
    }
    let mut denied = a.denied.clone();
    let known = |path: &AbsPath| a.denied.iter().any(|p| p.path == *path);
    denied.extend(b.denied.iter().filter(|p| !known(&p.path)).cloned());
    let mut protected = a.protected.clone();
    protected.extend(
        b.protected.iter().filter(|k| !a.protected.iter().any(|o| o.path == k.path)).cloned(),
    );
    let mut protected_patterns = a.protected_patterns.clone();
    protected_patterns
        .extend(b.protected_patterns.iter().filter(|p| !a.protected_patterns.contains(p)).cloned());
    let mut protected_roots = a.protected_roots.clone();
    protected_roots
        .extend(b.protected_roots.iter().filter(|root| !a.protected_roots.contains(root)).cloned());
    FsPolicy {
        rules: without_repetitions(rules),
        denied,
        read_only: a.read_only.clone().or_else(|| b.read_only.clone()),
        protected,
        protected_patterns,
        protected_roots,
        workspaces: a.workspaces.clone(),
        tmpdir: a.tmpdir.clone(),
        tmp: a.tmp.or(&b.tmp),
        hiding: a.hiding.or(b.hiding),
        own_terminals: a.own_terminals && b.own_terminals,
    }
}

/// Where both rules hold, with the rights both give.
fn overlap(a: &FsRule, b: &FsRule) -> Option<FsRule> {
    let access = a.access & b.access;
    if access.is_empty() {
        return None;
    }
    let inner = if b.covers(&a.path) && holds(b, a.scope) {
        a
    } else if a.covers(&b.path) && holds(a, b.scope) {
        b
    } else {
        return None;
    };
    let (path, scope) = (inner.path.clone(), inner.scope);
    Some(FsRule { path, scope, access, source: a.source.clone() })
}

/// Whether a rule that covers the root of a `scope` covers all of it.
fn holds(outer: &FsRule, scope: Scope) -> bool {
    outer.scope == Scope::Tree || scope == Scope::File
}

/// Leaves out rules that another rule covers with at least the same access: `/bin` beside `/usr`
/// where one leads into the other, folders of the path inside granted trees.
pub(crate) fn without_repetitions(rules: Vec<FsRule>) -> Vec<FsRule> {
    let covers = |other: &FsRule, rule: &FsRule| {
        // Bytes first: nearly all pairs differ, and comparing components takes longer.
        rule.path.as_bytes().starts_with(other.path.as_bytes())
            && other.access.contains(rule.access)
            && other.covers(&rule.path)
            && holds(other, rule.scope)
    };
    let mut kept: Vec<FsRule> = Vec::new();
    for rule in rules {
        // Of two rules that cover each other the first stays.
        if !kept.iter().any(|other| covers(other, &rule)) {
            kept.retain(|other| !covers(&rule, other));
            kept.push(rule);
        }
    }
    kept
}

/// Whether writing to `rule`'s path stays possible whatever is given up: the private temporary
/// folder, and devices, without which not even output can be thrown away.
pub(crate) fn always_writable(rule: &FsRule, tmpdir: &AbsPath) -> bool {
    rule.is_for_device() || rule.path.is_within(tmpdir)
}

/// Takes the right to change anything from all rules but those for `writable`.
pub(super) fn write_only(policy: &mut Policy, writable: &[Writable]) -> Result<(), NarrowError> {
    for wanted in writable {
        if policy.fs.lookup(&wanted.path, Access::WRITE) != Lookup::Allowed {
            let roots = policy.fs.writable_roots().into_iter().cloned().collect();
            return Err(NarrowError::NotWritable { path: wanted.path.clone(), roots });
        }
    }
    let mut rules = Vec::new();
    for rule in &policy.fs.rules {
        if always_writable(rule, &policy.fs.tmpdir) {
            rules.push(rule.clone());
            continue;
        }
        let kept = rule.access - Access::CHANGES;
        if !kept.is_empty() {
            rules.push(FsRule { access: kept, ..rule.clone() });
        }
        let wanted = writable.iter().filter_map(|wanted| {
            let scope = if wanted.is_folder { Scope::Tree } else { Scope::File };
            let path = wanted.path.clone();
            overlap(
                rule,
                &FsRule { path, scope, access: Access::CHANGES, source: rule.source.clone() },
            )
        });
        rules.extend(wanted);
    }
    policy.fs.rules = without_repetitions(rules);
    Ok(())
}
