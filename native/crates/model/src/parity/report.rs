//! What was compared, how far apart it was, and how far apart it may be.

use serde_json::{json, Map, Value};

/// The outcome of a comparison.
#[derive(Debug)]
pub struct Report {
    groups: Map<String, Value>,
    failed: Vec<String>,
    skipped: Map<String, Value>,
    checks: usize,
    factor: f64,
}

/// Relative L2 distance, largest difference, and the latter over the largest reference value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Distance {
    pub relative_l2: f64,
    pub max_abs: f64,
    pub max_rel: f64,
}

impl Distance {
    pub fn between(ours: &[f32], reference: &[f32]) -> Distance {
        if ours.len() != reference.len() {
            return Distance { relative_l2: f64::INFINITY, max_abs: f64::INFINITY, max_rel: f64::INFINITY };
        }
        let (mut square, mut total, mut max_abs, mut largest) = (0.0f64, 0.0f64, 0.0f64, 0.0f64);
        for (a, b) in ours.iter().zip(reference) {
            let (a, b) = (f64::from(*a), f64::from(*b));
            let d = (a - b).abs();
            // A NaN must count as the largest difference, which `max` alone would not do.
            let d = if d.is_nan() { f64::INFINITY } else { d };
            square += d * d;
            total += b * b;
            max_abs = max_abs.max(d);
            largest = largest.max(b.abs());
        }
        let over = |x: f64, y: f64| if x == 0.0 { 0.0 } else { x / y };
        Distance { relative_l2: over(square.sqrt(), total.sqrt()), max_abs, max_rel: over(max_abs, largest) }
    }
}

impl Report {
    pub(super) fn new(factor: f64) -> Report {
        Report { groups: Map::new(), failed: Vec::new(), skipped: Map::new(), checks: 0, factor }
    }

    /// Whether everything was within its tolerance, and there was anything.
    pub fn ok(&self) -> bool {
        self.failed.is_empty() && self.checks > 0
    }

    /// Names of what was above its tolerance.
    pub fn failed(&self) -> &[String] {
        &self.failed
    }

    /// How many comparisons were made.
    pub fn checks(&self) -> usize {
        self.checks
    }

    /// What the reference holds and was not compared, with the reason.
    pub fn skipped(&self) -> &Map<String, Value> {
        &self.skipped
    }

    /// Everything as one JSON object.
    pub fn to_json(&self) -> Value {
        let mut all = self.groups.clone();
        all.insert("checks".into(), json!(self.checks));
        all.insert("failed".into(), json!(self.failed));
        all.insert("not_checked".into(), Value::Object(self.skipped.clone()));
        all.insert("ok".into(), json!(self.ok()));
        Value::Object(all)
    }

    pub(super) fn skip(&mut self, name: &str, why: &str) {
        self.skipped.insert(name.to_owned(), json!(why));
    }

    /// Records one comparison under `group` and, below it, `name`; without a name the group is the comparison.
    fn add(&mut self, group: &str, name: &str, mut value: Value, ok: bool) {
        self.checks += 1;
        value["ok"] = json!(ok);
        if !ok {
            self.failed.push(if name.is_empty() { group.to_owned() } else { format!("{group}: {name}") });
        }
        if name.is_empty() {
            self.groups.insert(group.to_owned(), value);
        } else {
            self.groups.entry(group).or_insert_with(|| json!({}))[name] = value;
        }
    }

    /// Logits and their kind: the largest difference against the largest reference value.
    pub(super) fn logits(&mut self, group: &str, ours: &[f32], reference: &[f32]) {
        let d = Distance::between(ours, reference);
        let tolerance = 1e-5 * self.factor;
        let value = json!({"max_abs": d.max_abs, "max_rel": d.max_rel, "tolerance_max_rel": tolerance});
        self.add(group, "", value, d.max_rel <= tolerance);
    }

    /// A gradient or a weight: relative L2 and the largest difference against the largest reference value.
    pub(super) fn tensor(
        &mut self,
        group: &str,
        name: &str,
        ours: &[f32],
        reference: &[f32],
        l2: f64,
        max_rel: f64,
    ) {
        let d = Distance::between(ours, reference);
        let (l2, max_rel) = (l2 * self.factor, max_rel * self.factor);
        let value = json!({"rel_l2": d.relative_l2, "max_abs": d.max_abs, "max_rel": d.max_rel});
        self.add(group, name, value, d.relative_l2 <= l2 && d.max_rel <= max_rel);
    }

    /// A weight whose largest difference is bounded absolutely.
    pub(super) fn weight(
        &mut self,
        group: &str,
        name: &str,
        ours: &[f32],
        reference: &[f32],
        l2: f64,
        max_abs: f64,
    ) {
        let d = Distance::between(ours, reference);
        let value = json!({"rel_l2": d.relative_l2, "max_abs": d.max_abs});
        self.add(group, name, value, d.relative_l2 <= l2 * self.factor && d.max_abs <= max_abs * self.factor);
    }

    /// One number, with an absolute or relative tolerance.
    pub(super) fn number(
        &mut self,
        group: &str,
        name: &str,
        ours: f64,
        reference: f64,
        absolute: f64,
        relative: f64,
    ) {
        let difference = (ours - reference).abs();
        let tolerance = (absolute + relative * reference.abs()) * self.factor;
        let value =
            json!({"ours": ours, "reference": reference, "difference": difference, "tolerance": tolerance});
        self.add(group, name, value, difference <= tolerance);
    }

    /// Something that must be the same.
    pub(super) fn exact<T: PartialEq + serde::Serialize>(
        &mut self,
        group: &str,
        name: &str,
        ours: &[T],
        reference: &[T],
    ) {
        let same = ours == reference;
        let first = ours.iter().zip(reference).position(|(a, b)| a != b);
        let value = if same {
            json!({"length": ours.len()})
        } else {
            json!({"ours": ours, "reference": reference, "first_difference": first})
        };
        self.add(group, name, value, same);
    }
}
