//! The backward pass, derived by hand. Only what leads to a trained tensor is computed.

use crate::linear::{self, slot};
use crate::model::Model;
use crate::workspace::{attention_shape, LayerActs, Workspace};
use tillage_kernels::cpu;

/// What of a layer is trained, and whether anything before it is.
struct Needs {
    attention: bool,
    /// q, k or v: what lies before the attention itself.
    attention_input: bool,
    gate_up: bool,
    below: bool,
}

impl Model {
    /// Adds the gradients of all trained tensors, from the gradient of the last residual stream in `ws.dx`.
    pub(crate) fn backward_layers(&mut self, tokens: &[u32], starts: &[usize], ws: &mut Workspace) {
        let Some(lowest) = (0..self.config().num_hidden_layers)
            .find(|&n| self.trains(n, 0..7))
            .or(self.trains_all().then_some(0))
        else {
            return;
        };
        let mut layers = std::mem::take(&mut ws.layers);
        for n in (lowest..self.config().num_hidden_layers).rev() {
            let below = n > lowest || self.trains_all();
            let needs = Needs {
                attention: below || self.trains(n, slot::Q..slot::GATE),
                attention_input: below || self.trains(n, slot::Q..slot::O),
                gate_up: self.trains(n, slot::GATE..slot::DOWN),
                below,
            };
            self.layer_backward(n, starts, ws, &mut layers[n], &needs);
        }
        ws.layers = layers;
        let width = self.config().hidden_size;
        let embedding = self.weights.embedding;
        if let Some(d) = self.weights.tensors[embedding].grad_mut() {
            cpu::embedding_backward(d, &ws.dx, tokens, width);
        }
    }

    fn trains_all(&self) -> bool {
        !self.weights.tensors[self.weights.embedding].grad.is_empty()
    }

    /// Whether one of these projections of a layer has something trained.
    fn trains(&self, layer: usize, slots: std::ops::Range<usize>) -> bool {
        let base = self.weights.layers[layer].linears[slots.clone()]
            .iter()
            .any(|l| !self.weights.tensors[l.weight].grad.is_empty());
        let adapter = self.adapter.as_ref().filter(|a| a.enabled).is_some_and(|adapter| {
            let mut found = adapter.slots[layer][slots].iter().flatten();
            found.any(|s| !adapter.tensors[s.a].grad.is_empty())
        });
        base || adapter
    }

    fn layer_backward(
        &mut self,
        n: usize,
        starts: &[usize],
        ws: &mut Workspace,
        acts: &mut LayerActs,
        needs: &Needs,
    ) {
        let eps = self.config().rms_norm_eps as f32;
        let rows = ws.positions.len();
        let places = self.places(n, rows, true);
        let (attention_norm, mlp_norm) =
            (self.weights.layers[n].attention_norm, self.weights.layers[n].mlp_norm);

        // MLP: x += down(silu(gate(norm)) * up(norm)). The activation is computed again by `swiglu_backward`.
        let input =
            |m: &Model, slot: usize, dx: &mut [f32], dy: &[f32], s: &mut linear::Scratch, accumulate| {
                linear::backward_input(
                    dx,
                    dy,
                    &m.weights.tensors,
                    m.adapter.as_ref(),
                    &places[slot],
                    s,
                    accumulate,
                );
            };
        let weights =
            |m: &mut Model, slot: usize, dy: &[f32], x: &[f32], hidden: &[f32], s: &mut linear::Scratch| {
                linear::backward_weights(
                    dy,
                    x,
                    hidden,
                    &mut m.weights.tensors,
                    m.adapter.as_mut(),
                    &places[slot],
                    s,
                );
            };
        input(self, slot::DOWN, &mut ws.act, &ws.dx, &mut ws.linear, false);
        cpu::swiglu_backward(&mut ws.act, &mut acts.gate, &mut acts.up);
        let (dgate, dup) = (&acts.gate, &acts.up);
        weights(self, slot::DOWN, &ws.dx, &ws.act, &acts.lora[slot::DOWN], &mut ws.linear);
        if needs.gate_up {
            cpu::rms_norm(
                &mut ws.norm,
                &mut acts.inv_mid,
                &acts.x_mid,
                &self.weights.tensors[mlp_norm].value,
                eps,
            );
            weights(self, slot::GATE, dgate, &ws.norm, &acts.lora[slot::GATE], &mut ws.linear);
            weights(self, slot::UP, dup, &ws.norm, &acts.lora[slot::UP], &mut ws.linear);
        }
        if !needs.attention {
            return;
        }
        input(self, slot::GATE, &mut ws.dnorm, dgate, &mut ws.linear, false);
        input(self, slot::UP, &mut ws.dnorm, dup, &mut ws.linear, true);
        let norm = &mut self.weights.tensors[mlp_norm];
        let trained = (!norm.grad.is_empty()).then_some(&mut norm.grad[..]);
        cpu::rms_norm_backward(Some(&mut ws.dx), trained, &ws.dnorm, &acts.x_mid, &norm.value, &acts.inv_mid);

        // Attention: x += o(attention(rope(q(norm)), rope(k(norm)), v(norm))).
        weights(self, slot::O, &ws.dx, &acts.attended, &acts.lora[slot::O], &mut ws.linear);
        if !needs.attention_input {
            return;
        }
        input(self, slot::O, &mut ws.dattended, &ws.dx, &mut ws.linear, false);
        let saved = cpu::Saved { q: &acts.q, k: &acts.k, v: &acts.v, out: &acts.attended, lse: &acts.lse };
        let shape = attention_shape(self.config());
        cpu::attention_backward([&mut ws.dq, &mut ws.dk, &mut ws.dv], &ws.dattended, saved, starts, &shape);
        cpu::rope(&mut ws.dq, &ws.positions, &ws.rope, true);
        cpu::rope(&mut ws.dk, &ws.positions, &ws.rope, true);
        if self.trains(n, slot::Q..slot::O) {
            cpu::rms_norm(
                &mut ws.norm,
                &mut acts.inv_in,
                &acts.x_in,
                &self.weights.tensors[attention_norm].value,
                eps,
            );
            weights(self, slot::Q, &ws.dq, &ws.norm, &acts.lora[slot::Q], &mut ws.linear);
            weights(self, slot::K, &ws.dk, &ws.norm, &acts.lora[slot::K], &mut ws.linear);
            weights(self, slot::V, &ws.dv, &ws.norm, &acts.lora[slot::V], &mut ws.linear);
        }
        if !needs.below {
            return;
        }
        input(self, slot::Q, &mut ws.dnorm, &ws.dq, &mut ws.linear, false);
        input(self, slot::K, &mut ws.dnorm, &ws.dk, &mut ws.linear, true);
        input(self, slot::V, &mut ws.dnorm, &ws.dv, &mut ws.linear, true);
        let norm = &mut self.weights.tensors[attention_norm];
        let trained = (!norm.grad.is_empty()).then_some(&mut norm.grad[..]);
        cpu::rms_norm_backward(Some(&mut ws.dx), trained, &ws.dnorm, &acts.x_in, &norm.value, &acts.inv_in);
    }
}
