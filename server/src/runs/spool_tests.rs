//! Spools against what was really written to them.

use super::arena::{Arena, BLOCK};
use super::lines::{Searched, for_each_line, for_each_match, search};
use super::pattern::{Matcher, Pattern};
use super::spool::Spool;
use super::switches::Stream::{self, Stderr, Stdout};
use super::view::OutputView;
use std::sync::Arc;

const HEAD: usize = 4 << 20;
const TAIL: usize = 60 << 20;

fn arena() -> (tempfile::TempDir, Arc<Arena>) {
    let folder = tempfile::tempdir().unwrap();
    let arena = Arena::new(folder.path().to_path_buf());
    (folder, arena)
}

/// Bytes nobody mixes up.
fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length)
        .map(|n| u8::try_from((n.wrapping_mul(31) + n / 251 + seed) % 251).unwrap())
        .collect()
}

fn kept(view: &OutputView, stream: Stream, from: u64) -> Vec<u8> {
    view.pieces(stream, from).flat_map(|piece| view.read(piece)).collect()
}

#[test]
fn small_outputs_are_whole_and_take_no_file() {
    let (_folder, arena) = arena();
    let mut spool = Spool::new(arena);
    for (stream, text) in [(Stdout, "one\ntw"), (Stderr, "oops\n"), (Stdout, "o"), (Stdout, "")] {
        spool.push(stream, text.as_bytes());
    }
    let view = spool.view();
    let out = view.capture(Stdout, 0, 1000, 1000);
    assert_eq!((out.head.as_slice(), out.tail.len(), out.between), (b"one\ntwo".as_slice(), 0, 0));
    assert_eq!((out.total_bytes, out.total_lines), (7, 2));
    assert_eq!(view.capture(Stderr, 0, 1000, 1000).head, b"oops\n");
    assert_eq!(view.capture(Stdout, 11, 1000, 1000).head, b"o");
    assert_eq!(view.capture(Stdout, 12, 1000, 1000).total_lines, 0);
    assert_eq!(view.capture(Stdout, 0, 2, 3).tail, b"two");
    assert!(view.in_memory());
}

#[test]
fn both_streams_come_back_whole_up_to_the_limit() {
    let (_folder, arena) = arena();
    let mut spool = Spool::new(arena);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    for n in 0..300 {
        let (stream, all) = if n % 3 == 0 { (Stderr, &mut err) } else { (Stdout, &mut out) };
        let bytes = pattern(1000 + n * 40, n);
        spool.push(stream, &bytes);
        all.extend(bytes);
    }
    let view = spool.view();
    assert!(!view.in_memory() && kept(&view, Stdout, 0) == out && kept(&view, Stderr, 0) == err);
    assert_eq!((view.dropped(Stdout, 0), view.total()), (0, (out.len() + err.len()) as u64));
    let cut = view.capture(Stdout, 0, 5000, 7000);
    assert!(cut.head == out[..5000] && cut.tail == out[out.len() - 7000..]);
    assert_eq!(cut.between, (out.len() - 12000) as u64);
}

#[test]
fn long_outputs_keep_both_ends_and_count_the_rest() {
    let (_folder, arena) = arena();
    let mut spool = Spool::new(arena);
    let stream = pattern(90 << 20, 3);
    for chunk in stream.chunks(100_000) {
        spool.push(Stdout, chunk);
    }
    let view = spool.view();
    let kept = kept(&view, Stdout, 0);
    let tail = kept.len() - HEAD;
    assert!(kept[..HEAD] == stream[..HEAD] && kept[HEAD..] == stream[stream.len() - tail..]);
    assert!(tail > TAIL - BLOCK && tail <= TAIL, "{tail}");
    assert_eq!(view.dropped(Stdout, 0), (stream.len() - kept.len()) as u64);
    let cut = view.capture(Stdout, 0, 10, 10);
    assert!(cut.head == stream[..10] && cut.tail == stream[stream.len() - 10..]);
    assert_eq!(cut.between, stream.len() as u64 - 20);
    let newlines = stream.iter().filter(|b| **b == b'\n').count() as u64;
    assert!(cut.total_lines.abs_diff(newlines) <= 1);
    let gap = view.bytes(Stdout, HEAD as u64, 1).unwrap_err();
    assert_eq!(gap, HEAD as u64..(HEAD as u64 + view.dropped(Stdout, 0)));
    assert!(view.bytes(Stdout, 5, 10).unwrap() == stream[5..15]);
    assert!(view.bytes(Stdout, gap.end, 10).unwrap() == stream[stream.len() - tail..][..10]);
    assert_eq!(view.bytes(Stdout, gap.start - 3, 10).unwrap().len(), 3);
    assert_eq!(view.bytes(Stdout, u64::MAX, 10).unwrap(), b"");
    // From inside of the gap, only what follows counts.
    let from = (HEAD + 1_000_000) as u64;
    let total = stream.len() as u64;
    assert_eq!(view.capture(Stdout, from, 10, 10).total_bytes, total - from);
}

#[test]
fn a_view_stays_what_it_was() {
    let (_folder, arena) = arena();
    let mut spool = Spool::new(arena);
    let stream = pattern(66 << 20, 5);
    spool.push(Stdout, &stream);
    let view = spool.view();
    let before = kept(&view, Stdout, 0);
    for _ in 0..70 {
        spool.push(Stdout, &[0; 1 << 20]);
    }
    assert!(kept(&view, Stdout, 0) == before);
}

#[test]
fn streams_that_take_turns_byte_by_byte_stay_bounded_and_counted() {
    let (_folder, arena) = arena();
    let mut spool = Spool::new(arena);
    let turns = 600_000u64;
    for _ in 0..turns {
        spool.push(Stdout, b"o");
        spool.push(Stderr, b"e");
    }
    let view = spool.view();
    assert!(view.switches.len() < 300_000, "{}", view.switches.len());
    for (stream, byte) in [(Stdout, b'o'), (Stderr, b'e')] {
        let kept = kept(&view, stream, 0);
        assert!(kept.iter().all(|b| *b == byte));
        assert_eq!(kept.len() as u64 + view.dropped(stream, 0), turns);
    }
}

#[test]
fn a_full_disk_loses_bytes_and_no_counts() {
    let (_folder, arena) = arena();
    let taken: Vec<_> = std::iter::from_fn(|| arena.take()).collect();
    let mut spool = Spool::new(Arc::clone(&arena));
    let stream = pattern(300_000, 1);
    spool.push(Stdout, &stream);
    let view = spool.view();
    assert_eq!((view.dropped(Stdout, 0), kept(&view, Stdout, 0).len()), (300_000, 0));
    drop(taken);
    spool.push(Stdout, &stream);
    let view = spool.view();
    assert!(kept(&view, Stdout, 0) == stream);
    let cut = view.capture(Stdout, 0, 10, 10);
    assert_eq!((cut.head.len(), cut.total_bytes, cut.between), (0, 600_000, 599_990));
}

#[test]
fn a_cleared_spool_knows_what_there_was() {
    let (_folder, arena) = arena();
    for length in [100, 10_000_000] {
        let mut spool = Spool::new(Arc::clone(&arena));
        spool.push(Stderr, &pattern(length, 1));
        spool.clear();
        let view = spool.view();
        assert_eq!(kept(&view, Stderr, 0), b"");
        assert_eq!(view.capture(Stderr, 0, 10, 10).total_bytes, length as u64);
    }
    assert!(!arena.is_tight());
}

/// What was dropped of a stream is its own, wherever its bytes lay.
#[test]
fn a_cleared_spool_knows_what_there_was_of_each_stream() {
    let (_folder, arena) = arena();
    for length in [100, 1_000_000, 40_000_000, 90_000_000] {
        let mut spool = Spool::new(Arc::clone(&arena));
        for half in [0, 1] {
            spool.push(Stderr, &pattern(length, half));
            spool.push(Stdout, b"ten bytes\n");
        }
        spool.clear();
        spool.push(Stdout, b"last words\n");
        let view = spool.view();
        let total = |stream| view.capture(stream, 0, 10, 10).total_bytes;
        assert_eq!((total(Stderr), total(Stdout)), (2 * length as u64, 31), "{length}");
        assert_eq!(kept(&view, Stdout, 0), b"last words\n");
        assert_eq!(view.bytes(Stderr, 5, 10), Err(0..2 * length as u64), "{length}");
        assert_eq!(view.bytes(Stdout, 20, 100).unwrap(), b"last words\n");
    }
}

#[test]
fn what_memory_held_is_each_streams_when_there_is_no_room_for_it() {
    let (_folder, arena) = arena();
    let taken: Vec<_> = std::iter::from_fn(|| arena.take()).collect();
    let mut spool = Spool::new(Arc::clone(&arena));
    spool.push(Stdout, &pattern(30_000, 1));
    spool.push(Stderr, &pattern(20_000, 2));
    spool.push(Stdout, &pattern(40_000, 3));
    drop(taken);
    let view = spool.view();
    let total = |stream| view.capture(stream, 0, 10, 10).total_bytes;
    assert_eq!((total(Stdout), total(Stderr)), (70_000, 20_000));
    assert_eq!((view.dropped(Stdout, 0), view.dropped(Stderr, 0)), (70_000, 20_000));
}

#[test]
fn lines_keep_their_numbers_across_a_gap() {
    let (_folder, arena) = arena();
    let mut spool = Spool::new(arena);
    let line = |n: u64| format!("{n:0>99}\n");
    let total = 800_000;
    for first in (1..=total).step_by(1000) {
        let lines: String = (first..first + 1000).map(line).collect();
        spool.push(Stdout, lines.as_bytes());
        spool.push(Stderr, b"x");
    }
    let view = spool.view();
    assert!(view.dropped(Stdout, 0) > 0);
    let (mut seen, mut cut, mut last) = (0u64, 0, 0);
    for_each_line(&view, Stdout, 0, |found| {
        seen += 1;
        last = found.number;
        if found.bytes != line(found.number).trim_end().as_bytes() {
            // Only the first one behind the gap lacks its beginning.
            assert!(line(found.number).trim_end().as_bytes().ends_with(found.bytes));
            cut += 1;
        }
        true
    });
    assert!(seen < total && cut <= 1, "{seen} {cut}");
    assert_eq!(last, total);
    assert_eq!(view.lines_before(Stdout, 0), 0);
    assert_eq!(view.lines_before(Stdout, view.total()), total);
    let pattern = regex::bytes::Regex::new(r"(?m)^0+1\d*7$").unwrap();
    let mut matches = Vec::new();
    for_each_match(&view, Stdout, 0, &pattern, |found| {
        matches.push(found.number);
        true
    });
    let mut expected = Vec::new();
    for_each_line(&view, Stdout, 0, |found| {
        if pattern.is_match(found.bytes) {
            expected.push(found.number);
        }
        true
    });
    assert!(matches == expected && matches.starts_with(&[17, 107]) && matches.len() > 1_000);
}

#[test]
fn lines_from_the_middle_have_their_numbers() {
    let (_folder, arena) = arena();
    let mut spool = Spool::new(arena);
    spool.push(Stdout, b"one\ntwo\nth");
    spool.push(Stderr, b"oops\n");
    spool.push(Stdout, b"ree\nfour");
    let view = spool.view();
    let lines = |from| {
        let mut lines = Vec::new();
        for_each_line(&view, Stdout, from, |l| {
            lines.push((l.number, String::from_utf8_lossy(l.bytes).into_owned()));
            true
        });
        lines
    };
    assert_eq!(lines(4), [(2, "two".into()), (3, "three".into()), (4, "four".into())]);
    assert_eq!(lines(15), [(3, "ree".into()), (4, "four".into())]);
    assert_eq!(lines(100), []);
}

/// The lines from `from` on that match, how the search ended, and how often it asked; it may ask
/// `most` times.
fn found(
    view: &OutputView,
    from: u64,
    pattern: &str,
    most: usize,
) -> (Vec<(u64, usize)>, Searched, usize) {
    let pattern = Pattern::new(pattern).unwrap();
    let (mut lines, mut asked) = (Vec::new(), 0);
    let mut matcher = Matcher::new(&pattern, || {
        asked += 1;
        asked < most
    });
    let searched = search(view, Stdout, from, &mut matcher, |line| {
        lines.push((line.number, line.bytes.len()));
    });
    (lines, searched, asked)
}

#[test]
fn a_clients_pattern_sees_one_line_at_a_time() {
    let (_folder, arena) = arena();
    let mut spool = Spool::new(arena);
    spool.push(Stdout, b"one\ntwo\nth");
    spool.push(Stderr, b"oops\n");
    spool.push(Stdout, b"ree\n\nfour");
    let view = spool.view();
    let numbers = |pattern| -> Vec<u64> {
        let (lines, searched, _) = found(&view, 0, pattern, usize::MAX);
        assert_eq!(searched, Searched::default());
        lines.into_iter().map(|(number, _)| number).collect()
    };
    for spanning in [r"one\ntwo", r"(?s)e.t", r"e\st", r"two\n", r"\n"] {
        assert!(numbers(spanning).is_empty(), "{spanning}");
    }
    assert_eq!(numbers(r"one\s*|three|two$"), [1, 2, 3]);
    assert_eq!(numbers(r"\Ao|r\z|^$|(?s:t.*)"), [1, 2, 3, 4, 5]);
}

#[test]
fn a_clients_pattern_costs_each_byte_once() {
    let (_folder, arena) = arena();
    let mut spool = Spool::new(arena);
    spool.push(Stdout, &b"a\n".repeat(100_000));
    // From the first line on it would look at everything that follows, and so from every line.
    let (lines, searched, asked) = found(&spool.view(), 0, "^a(?s:.)*Z|^a", usize::MAX);
    assert_eq!((lines.len(), searched), (100_000, Searched::default()));
    assert!(asked < 5_000, "work: {asked}");
}

#[test]
fn a_search_that_is_ended_says_where_to_go_on() {
    let (_folder, arena) = arena();
    let mut spool = Spool::new(arena);
    let total = 30_000;
    for n in 0..total {
        spool.push(Stdout, format!("line {n} of many\n").as_bytes());
        spool.push(Stderr, b"x\n");
    }
    let view = spool.view();
    let (mut from, mut numbers, mut calls) = (0, Vec::new(), 0);
    loop {
        let (lines, searched, asked) = found(&view, from, "o.*y$", 100);
        numbers.extend(lines.into_iter().map(|(number, _)| number));
        calls += 1;
        assert_eq!(searched.partly, 0);
        let Some(next) = searched.stopped_at else { break };
        assert!(next > from && asked == 100, "{next} {asked}");
        from = next;
    }
    assert!(calls > 3, "{calls}");
    assert!(numbers == (1..=total).collect::<Vec<u64>>());
}

#[test]
fn one_line_that_takes_all_of_the_time_is_given_up() {
    let (_folder, arena) = arena();
    let mut spool = Spool::new(arena);
    spool.push(Stdout, &[&b"b".repeat(300_000)[..], b"Z\nbZ\n"].concat());
    let view = spool.view();
    let (lines, searched, _) = found(&view, 0, "b*Z", 2);
    assert_eq!((lines, searched), (vec![], Searched { stopped_at: Some(300_002), partly: 1 }));
    let (lines, searched, _) = found(&view, 300_002, "b*Z", 2);
    assert_eq!((lines, searched), (vec![(2, 2)], Searched::default()));
    // With time, its first part is looked at.
    let (lines, searched, _) = found(&view, 0, "b*Z", usize::MAX);
    assert_eq!((lines, searched), (vec![(2, 2)], Searched { stopped_at: None, partly: 1 }));
}
