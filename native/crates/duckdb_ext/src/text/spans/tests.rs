use super::*;
use std::collections::HashMap;

/// Small random numbers from a fixed sequence.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 5_u64;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

/// What the SQL of the module's words does: the ranges to cut of each text.
fn repeated(texts: &[String], n: usize) -> Vec<Vec<(i32, i32)>> {
    let mut spans = Spans::default();
    let anchors: Vec<Vec<u64>> = texts.iter().map(|text| spans.anchors(text, n)).collect();
    let mut counts: HashMap<u64, usize> = HashMap::new();
    anchors.iter().flatten().for_each(|&anchor| *counts.entry(anchor).or_default() += 1);
    let mut firsts: HashMap<u64, (usize, i32)> = HashMap::new();
    let mut cuts = vec![Vec::new(); texts.len()];
    for (index, (text, anchors)) in texts.iter().zip(&anchors).enumerate() {
        let twice: Vec<u64> = anchors.iter().copied().filter(|anchor| counts[anchor] > 1).collect();
        for window in spans.windows(text, n, &twice) {
            match firsts.get(&window.hash) {
                None => drop(firsts.insert(window.hash, (index, window.start))),
                Some(&(first, start)) => {
                    let from = if first == index { window.start.max(start + n as i32) } else { window.start };
                    cuts[index].push((from, window.start + n as i32));
                }
            }
        }
    }
    cuts
}

/// The words to cut of each text, by comparing every window with every earlier one.
fn by_force(texts: &[Vec<String>], n: usize) -> Vec<Vec<bool>> {
    let mut seen: HashMap<&[String], (usize, usize)> = HashMap::new();
    let mut cut: Vec<Vec<bool>> = texts.iter().map(|text| vec![false; text.len()]).collect();
    for (index, text) in texts.iter().enumerate() {
        for (start, window) in text.windows(n).enumerate() {
            let (first, at) = *seen.entry(window).or_insert((index, start));
            if (first, at) != (index, start) {
                let from = if first == index { start.max(at + n) } else { start };
                cut[index][from..start + n].fill(true);
            }
        }
    }
    cut
}

#[test]
fn every_repeated_run_is_found_and_nothing_else() {
    let mut number = numbers();
    for (n, vocabulary) in [(1, 30), (2, 6), (5, 3), (6, 2), (50, 2), (7, 1)] {
        let mut texts: Vec<Vec<String>> =
            (0..30).map(|_| (0..number(120)).map(|_| format!("w{}", number(vocabulary))).collect()).collect();
        // Plants runs of one text in another, at least n words long, among words that are unique.
        for from in 0..10 {
            let length = texts[from].len().min(n + from);
            let piece = texts[from][texts[from].len() - length..].to_vec();
            let to = 29 - from;
            texts[to].push(format!("before{to}"));
            texts[to].extend(piece);
            texts[to].push(format!("after{to}"));
        }
        let joined: Vec<String> = texts.iter().map(|text| text.join(" ")).collect();
        let expected = by_force(&texts, n);
        assert!(expected.iter().flatten().any(|&cut| cut), "n {n}: something repeats");
        for ((ranges, expected), text) in repeated(&joined, n).iter().zip(&expected).zip(&texts) {
            let mut cut = vec![false; text.len()];
            ranges.iter().for_each(|&(start, end)| cut[start as usize..end as usize].fill(true));
            assert_eq!(&cut, expected, "n {n}");
        }
    }
}

#[test]
fn anchors_are_few() {
    let mut number = numbers();
    let text: Vec<String> = (0..20_000).map(|_| format!("w{}", number(5000))).collect();
    let anchors = Spans::default().anchors(&text.join(" "), 50).len();
    // Winnowing's expected density is 2 / (w + 1) with w = 26.
    assert!((1300..1700).contains(&anchors), "{anchors} of 20000");
}

#[test]
fn short_texts_have_none() {
    let mut spans = Spans::default();
    assert!(spans.anchors("one two three", 4).is_empty());
    assert_eq!(spans.anchors("one two three", 3).len(), 1);
    assert!(spans.windows("one two three", 3, &[]).is_empty());
    assert!(spans.anchors("", 1).is_empty());
}

#[test]
fn case_and_marks_make_no_difference() {
    let mut spans = Spans::default();
    assert_eq!(spans.anchors("The kiln, it is WARM", 5), spans.anchors("the kiln: it is warm!", 5));
}

#[test]
fn hostile_texts_take_linear_time() {
    let start = std::time::Instant::now();
    for piece in ["a ", "a b ", "性", "e\u{301}", "\u{301}", "ﷺ"] {
        let text = piece.repeat(100_000);
        let anchors = Spans::default().anchors(&text, 50);
        let windows = Spans::default().windows(&text, 50, &anchors).len() as i32;
        let starts: Vec<i32> = (0..windows).collect();
        let ends: Vec<i32> = starts.iter().map(|start| start + 50).collect();
        cut(&text, &starts, &ends, &mut Words::default()).unwrap();
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
