//! Cutting runs of words out of a text.

use crate::text::english::is_space;
use crate::text::words::Words;
use std::ops::Range;

/// `text` without the words `starts[i]..ends[i]` (numbered from 0) and what belongs to them: marks
/// directly behind the last word of a run and the white space behind these. A line break that is lost
/// between two pieces that stay is put back. Ranges may overlap and come in any order.
///
/// # Errors
/// When the lists differ in length, or a range is none or ends behind the last word.
pub fn cut(text: &str, starts: &[i32], ends: &[i32], words: &mut Words) -> Result<String, String> {
    if starts.len() != ends.len() {
        return Err(format!("there are {} starts and {} ends", starts.len(), ends.len()));
    }
    let mut places = Vec::new();
    words.read_with_places(text, &mut places);
    let mut ranges: Vec<Range<usize>> = Vec::with_capacity(starts.len());
    for (&start, &end) in starts.iter().zip(ends) {
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        match range {
            Some((start, end)) if start <= end && end <= places.len() => ranges.push(start..end),
            _ => {
                return Err(format!(
                    "words {start} to {end} are no range of a text of {} words",
                    places.len()
                ))
            }
        }
    }
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|next, range| {
        let joined = next.start <= range.end;
        if joined {
            range.end = range.end.max(next.end);
        }
        joined
    });

    let mut kept = String::with_capacity(text.len());
    let mut position = 0;
    for range in ranges {
        kept.push_str(&text[position..places[range.start].start]);
        let next = places.get(range.end).map_or(text.len(), |place| place.start);
        let gap = &text[places[range.end - 1].end..next];
        let marks = gap.find(is_space).unwrap_or(gap.len());
        let space = gap[marks..].len() - gap[marks..].trim_start_matches(is_space).len();
        if gap[marks..marks + space].contains('\n') && !kept.is_empty() && !kept.ends_with('\n') {
            kept.truncate(kept.trim_end_matches(is_space).len());
            kept.push('\n');
        }
        position = next - gap.len() + marks + space;
    }
    kept.push_str(&text[position..]);
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::cut;
    use crate::text::words::Words;

    fn without(text: &str, ranges: &[(i32, i32)]) -> Result<String, String> {
        let (starts, ends): (Vec<i32>, Vec<i32>) = ranges.iter().copied().unzip();
        cut(text, &starts, &ends, &mut Words::default())
    }

    #[test]
    fn words_go_with_their_marks() {
        let text = "One two. \"Three four,\" five\nsix - seven.";
        assert_eq!(without(text, &[]).unwrap(), text);
        assert_eq!(without(text, &[(1, 1)]).unwrap(), text);
        assert_eq!(without(text, &[(0, 2)]).unwrap(), "\"Three four,\" five\nsix - seven.");
        assert_eq!(without(text, &[(2, 4)]).unwrap(), "One two. \"five\nsix - seven.");
        assert_eq!(without(text, &[(4, 5)]).unwrap(), "One two. \"Three four,\"\nsix - seven.");
        assert_eq!(without(text, &[(5, 7)]).unwrap(), "One two. \"Three four,\" five\n");
        assert_eq!(without(text, &[(3, 6), (1, 4), (6, 7)]).unwrap(), "One ");
        assert_eq!(without(text, &[(0, 7)]).unwrap(), "");
    }

    #[test]
    fn other_scripts() {
        assert_eq!(without("我爱你，你爱我。", &[(0, 3)]).unwrap(), "你爱我。");
        assert_eq!(without("cafe\u{301} au lait", &[(0, 1)]).unwrap(), "au lait");
    }

    #[test]
    fn bad_ranges_are_refused() {
        for range in [(-1, 1), (2, 1), (0, 3)] {
            assert!(without("one two", &[range]).unwrap_err().contains("2 words"), "{range:?}");
        }
        assert!(cut("one", &[0], &[], &mut Words::default()).is_err());
    }
}
