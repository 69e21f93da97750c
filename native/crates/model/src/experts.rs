//! A sparse mixture of experts (Shazeer et al. 2017) in the place of an MLP: softmax over all experts, the best few of
//! each token, as mixtral and qwen3_moe have it.

use crate::attention::Context;
use crate::batch::Packed;
use crate::config::ExpertsConfig;
use crate::linear::{self, slot, Place};
use crate::model::Model;
use crate::norms;
use crate::workspace::{Keep, LayerActs, Workspace};
use std::ops::Range;
use tillage_kernels::cpu;

/// Which tokens went to which expert. A pair is a token at one of its experts; pairs lie by expert, then by token.
#[derive(Debug, Default)]
pub(crate) struct Routing {
    /// Of all experts, `[tokens, experts]`.
    pub probabilities: Vec<f32>,
    /// The router's scores, `[tokens, experts]`.
    pub logits: Vec<f32>,
    /// Each pair's token.
    pub tokens: Vec<usize>,
    /// Factor on each pair's output.
    pub weights: Vec<f32>,
    /// Where each expert's pairs begin, and how many there are: `[experts + 1]`.
    pub starts: Vec<usize>,
}

impl Routing {
    /// Numbers per token.
    pub fn width(experts: &ExpertsConfig) -> usize {
        2 * experts.count + 3 * experts.per_token
    }

    /// Numbers that its buffers hold room for, 4 bytes each.
    pub fn numbers(&self) -> usize {
        self.probabilities.capacity()
            + self.logits.capacity()
            + 2 * self.tokens.capacity()
            + self.weights.capacity()
    }

    fn of_expert(&self, expert: usize) -> Range<usize> {
        self.starts[expert]..self.starts[expert + 1]
    }

    /// Chooses the experts of every token from `logits`.
    fn choose(&mut self, experts: &ExpertsConfig) {
        let ExpertsConfig { count, per_token, normalize, .. } = *experts;
        self.probabilities.clone_from(&self.logits);
        cpu::softmax(&mut self.probabilities, count);
        let mut chosen: Vec<Vec<(usize, f32)>> = vec![Vec::new(); count];
        for (token, p) in self.probabilities.chunks_exact(count).enumerate() {
            let mut order: Vec<usize> = (0..count).collect();
            // Stable: the lower number comes first among equals.
            order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
            let best = &order[..per_token];
            let sum = if normalize { best.iter().map(|&e| p[e]).sum() } else { 1.0 };
            best.iter().for_each(|&e| chosen[e].push((token, p[e] / sum)));
        }
        self.starts.clear();
        self.tokens.clear();
        self.weights.clear();
        self.starts.push(0);
        for pairs in chosen {
            self.tokens.extend(pairs.iter().map(|p| p.0));
            self.weights.extend(pairs.iter().map(|p| p.1));
            self.starts.push(self.tokens.len());
        }
    }

    /// The gradient of the router's scores, from that of each pair's factor.
    fn backward(&self, dweights: &[f32], experts: &ExpertsConfig) -> Vec<f32> {
        let count = experts.count;
        let tokens = self.probabilities.len() / count;
        // Per token: Σ dw w and Σ p over its pairs.
        let (mut mean, mut sum) = (vec![0.0f32; tokens], vec![0.0f32; tokens]);
        let pairs = || (0..count).flat_map(|e| self.of_expert(e).map(move |pair| (e, pair)));
        for (e, pair) in pairs() {
            let token = self.tokens[pair];
            mean[token] += dweights[pair] * self.weights[pair];
            sum[token] += self.probabilities[token * count + e];
        }
        let mut d = vec![0.0f32; self.probabilities.len()];
        for (e, pair) in pairs() {
            let token = self.tokens[pair];
            d[token * count + e] =
                if experts.normalize { (dweights[pair] - mean[token]) / sum[token] } else { dweights[pair] };
        }
        for (d, p) in d.chunks_exact_mut(count).zip(self.probabilities.chunks_exact(count)) {
            let common: f32 = d.iter().zip(p).map(|(d, p)| d * p).sum();
            d.iter_mut().zip(p).for_each(|(d, p)| *d = p * (*d - common));
        }
        d
    }
}

impl ExpertsConfig {
    /// The load-balancing loss of Shazeer et al. (2017) in the form of Switch (Fedus et al. 2021), over the scores of
    /// all layers together: `count` Σ over experts of (share of the choices) x (mean probability).
    pub fn balance_loss(&self, layers: &[Vec<f32>]) -> f64 {
        let (mut chosen, mut mean) = (vec![0.0f64; self.count], vec![0.0f64; self.count]);
        let mut routing = Routing::default();
        let mut tokens = 0;
        for logits in layers {
            routing.logits.clone_from(logits);
            routing.choose(self);
            tokens += logits.len() / self.count;
            for (e, chosen) in chosen.iter_mut().enumerate() {
                *chosen += routing.of_expert(e).len() as f64;
            }
            for p in routing.probabilities.chunks_exact(self.count) {
                mean.iter_mut().zip(p).for_each(|(m, p)| *m += f64::from(*p));
            }
        }
        let product: f64 = chosen.iter().zip(&mean).map(|(c, m)| c * m).sum();
        self.count as f64 * product / (tokens as f64 * tokens as f64)
    }
}

/// A place with the pairs of one expert.
fn with_rows(place: Place, rows: usize) -> Place {
    Place { rows, ..place }
}

impl Model {
    /// The router's scores of every layer that has experts, `[tokens, experts]` each.
    pub(crate) fn router_logits(&self, batch: &Packed) -> Vec<Vec<f32>> {
        let mut ws = self.workspace();
        self.run_layers(&batch.tokens, Context::Pack(&batch.starts), &mut ws, Keep::Layers);
        let layers = ws.layers.iter().zip(&self.config().layers).filter(|(_, l)| l.experts);
        let logits = layers.map(|(acts, _)| acts.routing.logits.clone()).collect();
        self.give_back(ws);
        logits
    }

    /// As [`Model::mlp_forward`], for a layer with experts.
    pub(crate) fn experts_forward(&self, n: usize, ws: &mut Workspace, acts: &mut LayerActs, training: bool) {
        let config = self.config();
        let experts = config.experts.expect("a layer with experts");
        let (tensors, ids) = (&self.weights.tensors, &self.weights.layers[n]);
        let (h, i, rows) = (config.hidden_size, experts.intermediate_size, ws.positions.len());
        let LayerActs { x_mid, stats_mid, up, lora, expert_out, routing, .. } = acts;
        let Workspace { norm, out, act, gathered, linear, routes, .. } = ws;
        let before = ids.before_mlp.expect("a norm before the experts");
        norms::forward(config, tensors, &before, norm, stats_mid, x_mid);
        routing.logits.resize(rows * experts.count, 0.0);
        let router = &tensors[ids.router.expect("a router")];
        router.linear(&mut routing.logits, norm, rows, 1.0, false);
        routing.choose(&experts);
        cpu::gather_rows(gathered, norm, &routing.tokens, h);
        for e in 0..experts.count {
            let pairs = routing.of_expert(e);
            if pairs.is_empty() {
                continue;
            }
            let places = [slot::up(e), slot::down(e)]
                .map(|s| with_rows(self.place(n, s, rows, training), pairs.len()));
            let adding = self.adding(routes, Some(&routing.tokens[pairs.clone()]));
            let scratch = &mut linear.dropped;
            let own = |width: usize| pairs.start * width..pairs.end * width;
            let (x, up) = (&gathered[own(h)], &mut up[own(2 * i)]);
            linear::forward(up, x, tensors, adding, &places[0], &mut lora[slot::up(e)], scratch);
            let act = &mut act[own(i)];
            cpu::gated(act, up, i, config.activation);
            let y = &mut expert_out[own(h)];
            linear::forward(y, act, tensors, adding, &places[1], &mut lora[slot::down(e)], scratch);
        }
        out.fill(0.0);
        for (pair, (&token, &weight)) in routing.tokens.iter().zip(&routing.weights).enumerate() {
            let y = &expert_out[pair * h..(pair + 1) * h];
            out[token * h..(token + 1) * h].iter_mut().zip(y).for_each(|(o, y)| *o += weight * y);
        }
    }

    /// As [`Model::mlp_backward`], for a layer with experts.
    pub(crate) fn experts_backward(
        &mut self,
        n: usize,
        ws: &mut Workspace,
        acts: &mut LayerActs,
        below: bool,
    ) {
        let experts = self.config().experts.expect("a layer with experts");
        let rows = ws.positions.len();
        let places: Vec<Place> =
            (0..self.weights.layers[n].linears.len()).map(|s| self.place(n, s, rows, true)).collect();
        let Model { config, weights, adapter, .. } = self;
        let (h, i) = (config.hidden_size, experts.intermediate_size);
        let LayerActs { x_mid, stats_mid, up, lora, expert_out, routing, .. } = acts;
        let Workspace { branch, dx, act, norm, dnorm, gathered, dgathered, linear, .. } = ws;
        let (ids, tensors) = (&weights.layers[n], &mut weights.tensors[..]);
        let before = ids.before_mlp.expect("a norm before the experts");
        norms::forward(config, tensors, &before, norm, stats_mid, x_mid);
        cpu::gather_rows(gathered, norm, &routing.tokens, h);
        // Each pair's gradient, and that of its factor.
        cpu::gather_rows(dgathered, branch, &routing.tokens, h);
        let mut dweights = vec![0.0f32; routing.tokens.len()];
        for (pair, d) in dgathered.chunks_exact_mut(h).enumerate().take(dweights.len()) {
            let y = &expert_out[pair * h..(pair + 1) * h];
            dweights[pair] = d.iter().zip(y).map(|(d, y)| d * y).sum();
            d.iter_mut().for_each(|d| *d *= routing.weights[pair]);
        }
        for e in 0..experts.count {
            let pairs = routing.of_expert(e);
            if pairs.is_empty() {
                continue;
            }
            let own = |width: usize| pairs.start * width..pairs.end * width;
            let (into, from) =
                (with_rows(places[slot::up(e)], pairs.len()), with_rows(places[slot::down(e)], pairs.len()));
            let (act, up, d) = (&mut act[own(i)], &mut up[own(2 * i)], &mut dgathered[own(h)]);
            linear::receive(d, tensors, adapter.as_ref(), &from, linear);
            linear::backward_input(act, d, tensors, adapter.as_ref(), &from, linear, false);
            cpu::gated_backward(act, up, i, config.activation);
            let hidden = &lora[slot::down(e)];
            linear::backward_weights(d, act, hidden, tensors, adapter.as_mut(), &from, linear);
            linear::receive(up, tensors, adapter.as_ref(), &into, linear);
            let (x, hidden) = (&gathered[own(h)], &lora[slot::up(e)]);
            linear::backward_weights(up, x, hidden, tensors, adapter.as_mut(), &into, linear);
            if below {
                linear::backward_input(d, up, tensors, adapter.as_ref(), &into, linear, false);
            }
        }
        let router = &mut tensors[ids.router.expect("a router")];
        if !below && !router.trained() {
            return;
        }
        let dlogits = routing.backward(&dweights, &experts);
        router.backward_input(dnorm, &dlogits, rows, 1.0, false);
        router.backward_weight(&dlogits, norm, rows, 1.0);
        cpu::scatter_add_rows(dnorm, &dgathered[..routing.tokens.len() * h], &routing.tokens, h);
        norms::backward(config, tensors, &before, dx, dnorm, x_mid, stats_mid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experts(per_token: usize, normalize: bool) -> ExpertsConfig {
        ExpertsConfig { count: 4, per_token, normalize, intermediate_size: 1 }
    }

    fn routed(logits: &[f32], config: &ExpertsConfig) -> Routing {
        let mut routing = Routing { logits: logits.to_vec(), ..Routing::default() };
        routing.choose(config);
        routing
    }

    /// Two tokens over four experts; no two scores of a token are near each other.
    const LOGITS: [f32; 8] = [0.5, -1.0, 2.0, 1.2, -0.3, 1.5, 0.4, -2.0];

    #[test]
    fn the_best_experts_of_each_token_are_chosen_with_their_probabilities() {
        let softmax = |token: usize| -> Vec<f64> {
            let row = &LOGITS[4 * token..4 * token + 4];
            let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
            row.iter().map(|x| f64::from(*x).exp() / sum).collect()
        };
        let (first, second) = (softmax(0), softmax(1));
        for normalize in [false, true] {
            let found = routed(&LOGITS, &experts(2, normalize));
            // Token 0 goes to experts 2 and 3, token 1 to 1 and 2.
            assert_eq!(found.starts, [0, 0, 1, 3, 4]);
            assert_eq!(found.tokens, [1, 0, 1, 0]);
            let whole = |p: &[f64], pair: [usize; 2]| if normalize { p[pair[0]] + p[pair[1]] } else { 1.0 };
            let (a, b) = (whole(&first, [2, 3]), whole(&second, [1, 2]));
            let wanted = [second[1] / b, first[2] / a, second[2] / b, first[3] / a];
            for (found, wanted) in found.weights.iter().zip(wanted) {
                assert!((f64::from(*found) - wanted).abs() < 1e-6, "{found} instead of {wanted}");
            }
        }
        let equal = routed(&[1.0, 2.0, 2.0, 2.0], &experts(2, true));
        assert_eq!((&equal.starts[..], &equal.weights[..]), (&[0, 0, 1, 2, 2][..], &[0.5, 0.5][..]));
    }

    #[test]
    fn gradients_of_the_scores_are_derivatives_of_the_factors() {
        // A sum of the factors with a weight for each token and expert, which pairs of another choice would have too.
        let wanted = |token: usize, expert: usize| [0.7f32, -1.3, 0.4, 2.0][(token + expert) % 4];
        for normalize in [false, true] {
            for per_token in [1, 2, 3] {
                let config = experts(per_token, normalize);
                let each = |found: &Routing| -> Vec<f32> {
                    let of = |e: usize| found.tokens[found.of_expert(e)].iter().map(move |t| wanted(*t, e));
                    (0..4).flat_map(of).collect()
                };
                let sum = |logits: &[f32]| -> f64 {
                    let found = routed(logits, &config);
                    each(&found).iter().zip(&found.weights).map(|(d, w)| f64::from(*d) * f64::from(*w)).sum()
                };
                let found = routed(&LOGITS, &config);
                let slopes = found.backward(&each(&found), &config);
                for (i, slope) in slopes.iter().enumerate() {
                    let moved = |by: f32| {
                        let mut logits = LOGITS;
                        logits[i] += by;
                        sum(&logits)
                    };
                    let derivative = (moved(1.0 / 64.0) - moved(-1.0 / 64.0)) * 32.0;
                    assert!(
                        (derivative - f64::from(*slope)).abs() < 3e-4,
                        "{config:?} {i}: {slope}, {derivative}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_balance_loss_is_1_where_experts_are_used_alike_and_larger_where_they_are_not() {
        // Each token likes another expert: shares 1/4 each, probabilities 1/4 each in the mean.
        let even: Vec<f32> = (0..16).map(|i| if i % 4 == i / 4 { 3.0 } else { 0.0 }).collect();
        assert!((experts(1, true).balance_loss(&[even.clone(), even]) - 1.0).abs() < 1e-6);
        let uneven: Vec<f32> = (0..16).map(|i| if i % 4 == 0 { 3.0 } else { 0.0 }).collect();
        let p = 3f64.exp() / (3f64.exp() + 3.0);
        assert!((experts(1, true).balance_loss(&[uneven]) - 4.0 * p).abs() < 1e-5);
    }
}
