//! A regular expression that a client wrote, matched against one line at a time in steps that can
//! be counted and ended. What one step costs is bounded by the size of the pattern.

use regex_automata::hybrid::dfa::{Cache, Config as LazyConfig, DFA};
use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
use regex_automata::nfa::thompson::{Compiler, Config, WhichCaptures};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind, Span};
use std::fmt;

/// Longest pattern, in bytes.
const MAX_TEXT: usize = 4 << 10;
/// Memory a pattern may take when compiled.
const MAX_COMPILED: usize = 1 << 20;
/// Memory for what matching learns of a pattern.
const MAX_LEARNT: usize = 2 << 20;
/// Work between two questions whether to go on; a byte that is stepped over is one.
const ASK_EVERY: usize = 1 << 10;
/// Work that costs as much as a byte: starting with a line.
const PER_LINE: usize = 16;
/// Most states times bytes that are tried at once where there are no steps.
const MAX_AT_ONCE: usize = 1 << 26;

/// A pattern, compiled.
#[derive(Clone)]
pub(crate) struct Pattern {
    steps: DFA,
    /// For Unicode's word borders, which have no steps, beside characters that are not ASCII.
    whole: PikeVM,
    states: usize,
    /// Finds where a match can begin.
    begins: Option<Prefilter>,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pattern").field("states", &self.states).finish_non_exhaustive()
    }
}

impl Pattern {
    /// Compiles what a client wrote.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        if text.len() > MAX_TEXT {
            return Err(format!("it has {} bytes and may have {MAX_TEXT}", text.len()));
        }
        let syntax = syntax::Config::new().multi_line(true).utf8(false);
        let parsed = syntax::parse_with(text, &syntax).map_err(|e| in_one_line(&e.to_string()))?;
        let config = Config::new()
            .utf8(false)
            .nfa_size_limit(Some(MAX_COMPILED))
            .which_captures(WhichCaptures::None);
        let too_large = |_| format!("compiled it takes more than {MAX_COMPILED} bytes");
        let nfa = Compiler::new().configure(config).build_from_hir(&parsed).map_err(too_large)?;
        let states = nfa.states().len();
        let whole = PikeVM::new_from_nfa(nfa.clone()).map_err(|e| e.to_string())?;
        let lazy = LazyConfig::new()
            .unicode_word_boundary(true)
            .cache_capacity(MAX_LEARNT)
            .skip_cache_capacity_check(true);
        let steps =
            DFA::builder().configure(lazy).build_from_nfa(nfa).map_err(|e| e.to_string())?;
        let begins = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, &parsed);
        Ok(Self { steps, whole, states, begins })
    }
}

/// What is wrong, without the drawing of where: an answer shows it as one line.
fn in_one_line(error: &str) -> String {
    let last = error.lines().last().unwrap_or(error);
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// What was found in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A match.
    Match,
    /// None.
    Nothing,
    /// None in the first part of it; the rest would have taken too long.
    NothingInPart,
    /// It is not known: matching was ended.
    Ended,
}

/// A pattern at work.
pub(crate) struct Matcher<'p, G> {
    pattern: &'p Pattern,
    learnt: Cache,
    whole: Option<pikevm::Cache>,
    done: usize,
    go_on: G,
    ended: bool,
}

impl<'p, G: FnMut() -> bool> Matcher<'p, G> {
    /// `go_on` is asked again and again; once it says no, matching ends.
    pub(crate) fn new(pattern: &'p Pattern, go_on: G) -> Self {
        let learnt = pattern.steps.create_cache();
        Self { pattern, learnt, whole: None, done: 0, go_on, ended: false }
    }

    /// The first place from `at` on whose line can match.
    pub(super) fn candidate(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let Some(begins) = &self.pattern.begins else { return Some(at) };
        begins.find(bytes, Span { start: at, end: bytes.len() }).map(|found| found.start)
    }

    /// Counts work; whether to go on.
    pub(super) fn spend(&mut self, work: usize) -> bool {
        self.done += work;
        if self.done >= ASK_EVERY && !self.ended {
            self.done = 0;
            self.ended = !(self.go_on)();
        }
        !self.ended
    }

    /// Looks for a match in one line, which is given without its end.
    pub(super) fn find(&mut self, line: &[u8]) -> Found {
        if !self.spend(PER_LINE) {
            return Found::Ended;
        }
        let steps = &self.pattern.steps;
        let Ok(mut state) = steps.start_state_forward(&mut self.learnt, &Input::new(line)) else {
            return self.find_at_once(line);
        };
        for part in line.chunks(ASK_EVERY) {
            if !self.spend(part.len()) {
                return Found::Ended;
            }
            for byte in part {
                match steps.next_state(&mut self.learnt, state, *byte) {
                    Ok(next) => state = next,
                    Err(_) => return self.find_at_once(line),
                }
                if !state.is_tagged() {
                    continue;
                }
                if state.is_match() {
                    return Found::Match;
                }
                if state.is_dead() {
                    return Found::Nothing;
                }
                if state.is_quit() {
                    return self.find_at_once(line);
                }
            }
        }
        match steps.next_eoi_state(&mut self.learnt, state) {
            Ok(last) if last.is_match() => Found::Match,
            Ok(_) => Found::Nothing,
            Err(_) => self.find_at_once(line),
        }
    }

    fn find_at_once(&mut self, line: &[u8]) -> Found {
        let most = (MAX_AT_ONCE / self.pattern.states.max(1)).max(1);
        let part = line.get(..most).unwrap_or(line);
        if !self.spend(part.len().saturating_mul(self.pattern.states)) {
            return Found::Ended;
        }
        let whole = &self.pattern.whole;
        let cache = self.whole.get_or_insert_with(|| whole.create_cache());
        // The range is cut and not the line, so that what lies behind is no end of it.
        let input = Input::new(line).range(..part.len());
        match whole.is_match(cache, input) {
            true => Found::Match,
            false if part.len() < line.len() => Found::NothingInPart,
            false => Found::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(pattern: &str, line: &str) -> Found {
        let pattern = Pattern::new(pattern).unwrap();
        Matcher::new(&pattern, || true).find(line.as_bytes())
    }

    #[test]
    fn as_the_library_says() {
        let patterns = [
            "a",
            "^a",
            "a$",
            "^$",
            "",
            r"\bword\b",
            r"(?-u:\bword\b)",
            r"\w+é",
            "(?i)ERROR",
            "[^a]b",
            r"x|^y.*z$",
            r"\d{3}",
            r"(?s:.)*Z",
            r"\Ba",
            r"a\r$",
            r"\z",
            r"\A\s*$",
        ];
        let lines = [
            "",
            "a",
            "ba",
            "aé",
            "a word",
            "words",
            "é word é",
            "éword",
            "wordé",
            "xerrory",
            "ab",
            "bb",
            "y z",
            "yz ",
            "12 345",
            "aaaZ",
            "a\r",
            " ",
            "日本 word",
        ];
        for pattern in patterns {
            let regex = regex::bytes::RegexBuilder::new(pattern).multi_line(true).build().unwrap();
            for line in lines {
                let expected =
                    if regex.is_match(line.as_bytes()) { Found::Match } else { Found::Nothing };
                assert_eq!(finds(pattern, line), expected, "{pattern:?} {line:?}");
            }
        }
    }

    #[test]
    fn a_pattern_is_bounded_in_text_and_compiled() {
        for wrong in ["(", &"a".repeat(MAX_TEXT + 1), "(a{1000}){1000}", r"\pL{500}{500}"] {
            assert!(Pattern::new(wrong).is_err(), "{}", &wrong[..1]);
        }
        assert!(Pattern::new(&"a".repeat(MAX_TEXT)).is_ok());
    }

    /// How often it was asked whether to go on, and what was found in the end.
    fn asked(pattern: &str, line: &[u8], most: usize) -> (usize, Found) {
        let pattern = Pattern::new(pattern).unwrap();
        let mut asked = 0;
        let found = Matcher::new(&pattern, || {
            asked += 1;
            asked < most
        })
        .find(line);
        (asked, found)
    }

    #[test]
    fn one_line_can_be_left_in_the_middle() {
        // Every byte makes a state of thousands that was not there before.
        let line: Vec<u8> = (0..60_000u32).map(|n| b"ab"[(n * n / 7 % 2) as usize]).collect();
        for hostile in ["(?:a|b)*a(?:a|b){300}Z", "(?:a?){500}Z", r"\b(?:a|b)*Z\b"] {
            assert_eq!(asked(hostile, &line, 3), (3, Found::Ended), "{hostile}");
        }
    }

    #[test]
    fn where_there_are_no_steps_only_so_much_is_tried() {
        let mut line = "é".repeat(30_000).into_bytes();
        line.extend(b" word");
        let large = format!(r"\b(?:{}word)\b", "(?:x?)".repeat(600));
        assert_eq!(asked(&large, &line, 1000), (2, Found::NothingInPart));
        assert_eq!(asked(r"\bword\b", &line, 1000).1, Found::Match);
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let wrong = |text: &str| Pattern::new(text).unwrap_err();
        assert_eq!(wrong("("), "unclosed group");
        assert!(!wrong("a\n[z-a]").contains('\n'), "{}", wrong("a\n[z-a]"));
    }
}
