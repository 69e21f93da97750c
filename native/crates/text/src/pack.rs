//! Packing: examples into batches of at most `capacity` tokens, without padding.
//!
//! First-fit-decreasing (Johnson 1974) decides where the long rows go; the short ones (a quarter of the capacity or less), which
//! always find room, follow in shuffled order, so that a batch is not a class of equal lengths. Then the batches are evened
//! out where that costs no further batch, and shuffled. The plan of an epoch depends on the seed, the epoch and the lengths
//! alone: a resumed run computes it again. Rows that shall be seen in their own order are cut into batches one after the other.

use rand::seq::SliceRandom;
use rand_chacha::rand_core::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Batches of one epoch; each holds indices into `lengths`.
///
/// A row longer than `capacity` gets a batch of its own. Rows of no token are left out.
pub fn plan_epoch(lengths: &[usize], capacity: usize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch);
    let mut order: Vec<usize> = (0..lengths.len()).filter(|i| lengths[*i] > 0).collect();
    order.shuffle(&mut rng);
    let (mut long, short): (Vec<usize>, Vec<usize>) = order.iter().partition(|i| lengths[**i] > capacity / 4);
    long.sort_by_key(|i| std::cmp::Reverse(lengths[*i]));
    long.extend(short);

    let mut bins = first_fit(lengths, &long, capacity);
    let total: usize = long.iter().map(|i| lengths[*i]).sum();
    let longest = long.iter().map(|i| lengths[*i]).max().unwrap_or(0);
    if bins.len() > 1 {
        let even = total.div_ceil(bins.len());
        // An even share rarely packs exactly: a few per cent of slack are tried in turn.
        for slack in [1, 2, 4, 8, 16] {
            let target = (even + even * slack / 100 + 1).max(longest.min(capacity));
            if target >= capacity {
                break;
            }
            let tried = first_fit(lengths, &long, target);
            if tried.len() <= bins.len() {
                bins = tried;
                break;
            }
        }
    }
    bins.shuffle(&mut rng);
    bins
}

/// Batches of an epoch whose rows are seen in their order: a batch is full where the next row does not fit any more.
///
/// A row longer than `capacity` gets a batch of its own. Rows of no token are left out.
pub fn plan_in_order(lengths: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for (row, &need) in lengths.iter().enumerate().filter(|(_, need)| **need > 0) {
        match batches.last_mut() {
            Some(batch) if need <= room => batch.push(row),
            _ => {
                batches.push(vec![row]);
                room = capacity.max(need);
            }
        }
        room -= need;
    }
    batches
}

/// First fit by a tree over the bins' free room: the leftmost bin with enough of it, in logarithmic time.
fn first_fit(lengths: &[usize], order: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let leaves = order.len().next_power_of_two().max(1);
    let mut free = vec![capacity; 2 * leaves];
    let mut bins: Vec<Vec<usize>> = Vec::new();
    for &row in order {
        let need = lengths[row].min(capacity);
        let mut node = 1;
        while node < leaves {
            node *= 2;
            if free[node] < need {
                node += 1;
            }
        }
        let bin = node - leaves;
        if bin == bins.len() {
            bins.push(Vec::new());
        }
        bins[bin].push(row);
        free[node] -= need;
        while node > 1 {
            node /= 2;
            free[node] = free[2 * node].max(free[2 * node + 1]);
        }
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize, seed: u64) -> Vec<usize> {
        let mut state = seed;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 33) as usize % 300 + 1
            })
            .collect()
    }

    #[test]
    fn every_row_is_placed_once_and_no_batch_is_over_its_budget() {
        for (n, capacity) in [(1, 512), (7, 300), (500, 1024), (500, 300), (3, 2000)] {
            let lengths = rows(n, n as u64);
            let plan = plan_epoch(&lengths, capacity, 3, 0);
            let mut seen: Vec<usize> = plan.concat();
            seen.sort_unstable();
            assert_eq!(seen, (0..n).collect::<Vec<_>>());
            for batch in &plan {
                assert!(!batch.is_empty());
                assert!(batch.iter().map(|i| lengths[*i]).sum::<usize>() <= capacity);
            }
        }
    }

    #[test]
    fn rows_in_their_order_fill_one_batch_after_the_other() {
        let lengths = [4, 6, 1, 0, 10, 25, 3, 7, 2];
        let plan = plan_in_order(&lengths, 10);
        assert_eq!(plan, [vec![0, 1], vec![2], vec![4], vec![5], vec![6, 7], vec![8]]);
        assert!(plan_in_order(&[0, 0], 10).is_empty());
    }

    #[test]
    fn batches_are_nearly_full() {
        let lengths = rows(2000, 9);
        let plan = plan_epoch(&lengths, 1024, 1, 0);
        let least = lengths.iter().sum::<usize>().div_ceil(1024);
        assert!(plan.len() <= least + least / 50 + 1, "{} batches, {least} at least", plan.len());
    }

    #[test]
    fn the_seed_and_the_epoch_decide_the_plan() {
        let lengths = rows(100, 5);
        assert_eq!(plan_epoch(&lengths, 512, 1, 2), plan_epoch(&lengths, 512, 1, 2));
        assert_ne!(plan_epoch(&lengths, 512, 1, 2), plan_epoch(&lengths, 512, 1, 3));
        assert_ne!(plan_epoch(&lengths, 512, 1, 2), plan_epoch(&lengths, 512, 2, 2));
    }

    #[test]
    fn the_batches_of_an_epoch_are_even() {
        let lengths = vec![10; 110];
        let sizes: Vec<usize> = plan_epoch(&lengths, 500, 1, 0).iter().map(|b| b.len() * 10).collect();
        assert_eq!(sizes.len(), 3);
        assert!(sizes.iter().all(|s| (300..=400).contains(s)), "{sizes:?}");
    }

    #[test]
    fn a_row_over_the_budget_stands_alone_and_an_empty_one_nowhere() {
        assert_eq!(plan_epoch(&[700, 0], 512, 1, 0), vec![vec![0]]);
        assert!(plan_epoch(&[], 512, 1, 0).is_empty());
    }
}
