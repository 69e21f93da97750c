//! What is told of a step beside its loss.

use std::collections::BTreeMap;
use tillage_protocol::event::metric;

/// Means in the making: the sum of each metric and the count of what was summed.
#[derive(Debug, Clone, Default)]
pub struct Metrics(BTreeMap<&'static str, (f64, f64)>);

impl Metrics {
    /// One value.
    pub fn add(&mut self, name: &'static str, value: f64) {
        self.add_sum(name, value, 1);
    }

    /// A sum of so many values.
    pub fn add_sum(&mut self, name: &'static str, sum: f64, count: usize) {
        let entry = self.0.entry(name).or_default();
        *entry = (entry.0 + sum, entry.1 + count as f64);
    }

    /// The rewards of a pair.
    pub fn add_pair(&mut self, chosen: f64, rejected: f64) {
        self.add(metric::CHOSEN, chosen);
        self.add(metric::REJECTED, rejected);
        self.add(metric::MARGIN, chosen - rejected);
        self.add(metric::ACCURACY, f64::from(u8::from(chosen > rejected)));
    }

    /// Takes in another batch's.
    pub fn merge(&mut self, other: &Metrics) {
        for (name, (sum, count)) in &other.0 {
            let entry = self.0.entry(name).or_default();
            *entry = (entry.0 + sum, entry.1 + count);
        }
    }

    /// The means by name; of answers that are judged one by one, the margin is that between the means.
    pub fn means(&self) -> BTreeMap<String, f64> {
        let mut means: BTreeMap<String, f64> =
            self.0.iter().map(|(name, (sum, count))| ((*name).to_owned(), sum / count)).collect();
        if let (Some(chosen), Some(rejected)) = (means.get(metric::CHOSEN), means.get(metric::REJECTED)) {
            let margin = chosen - rejected;
            means.entry(metric::MARGIN.to_owned()).or_insert(margin);
        }
        means
    }
}
