//! Whether activations are kept or computed again.

use tillage_protocol::course::Recompute;

/// `plan` sets whether activations are computed again, and gives the bytes that this takes; what it was asked last holds.
pub fn choose(wish: Recompute, available: u64, plan: &mut dyn FnMut(bool) -> u64) -> (u64, bool) {
    let always = wish == Recompute::Always;
    let planned = plan(always);
    if wish != Recompute::Auto || available == 0 || planned <= available {
        return (planned, always);
    }
    (plan(true), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_computed_again_where_that_is_wished_or_memory_is_short() {
        use Recompute::{Always, Auto, Never};
        for (wish, available, again) in [
            (Auto, 100, false),
            (Auto, 99, true),
            (Auto, 1, true),
            (Auto, 0, false),
            (Never, 1, false),
            (Always, 1000, true),
        ] {
            let mut last = None;
            let found = choose(wish, available, &mut |again| {
                last = Some(again);
                if again {
                    40
                } else {
                    100
                }
            });
            let bytes = if again { 40 } else { 100 };
            assert_eq!((found, last), ((bytes, again), Some(again)), "{wish:?} with {available}");
        }
    }
}
