//! The MLP of a layer, with or without a gate.

use crate::config::ModelConfig;
use crate::linear::{self, slot};
use crate::model::Model;
use crate::norms;
use crate::workspace::{LayerActs, Workspace};
use tillage_kernels::cpu;

/// The buffers of the activation and of the projection into it, which may be longer where other layers have experts.
fn own_part<'a>(
    config: &ModelConfig,
    rows: usize,
    act: &'a mut [f32],
    up: &'a mut [f32],
) -> (&'a mut [f32], &'a mut [f32]) {
    let width = config.intermediate_size;
    (&mut act[..rows * width], &mut up[..rows * width * if config.gated { 2 } else { 1 }])
}

impl Model {
    /// `ws.out` = the block's output for `acts.x_mid`, before the norm that may follow it.
    pub(crate) fn mlp_forward(&self, n: usize, ws: &mut Workspace, acts: &mut LayerActs, training: bool) {
        let config = self.config();
        let (tensors, ids) = (&self.weights.tensors, &self.weights.layers[n]);
        let rows = ws.positions.len();
        let [up_place, down_place] = [slot::up(0), slot::down(0)].map(|s| self.place(n, s, rows, training));
        let LayerActs { x_mid, stats_mid, up, lora, .. } = acts;
        let Workspace { norm, out, act, linear, routes, .. } = ws;
        let (act, up) = own_part(config, rows, act, up);
        let input: &[f32] = match &ids.before_mlp {
            Some(ids) => {
                norms::forward(config, tensors, ids, norm, stats_mid, x_mid);
                norm
            }
            None => x_mid,
        };
        let (adding, scratch) = (self.adding(routes, None), &mut linear.dropped);
        linear::forward(up, input, tensors, adding, &up_place, &mut lora[slot::up(0)], scratch);
        if config.gated {
            cpu::gated(act, up, config.intermediate_size, config.activation);
        } else {
            cpu::activate(act, up, config.activation);
        }
        linear::forward(out, act, tensors, adding, &down_place, &mut lora[slot::down(0)], scratch);
    }

    /// From the gradient of the block's output in `ws.branch` to that of its input, which is added to `ws.dx` when
    /// `below`.
    pub(crate) fn mlp_backward(&mut self, n: usize, ws: &mut Workspace, acts: &mut LayerActs, below: bool) {
        let rows = ws.positions.len();
        let [up_place, down_place] = [slot::up(0), slot::down(0)].map(|s| self.place(n, s, rows, true));
        let trains_up = self.trains(n, slot::up(0)..slot::down(0));
        let Model { config, weights, adapter, .. } = self;
        let LayerActs { x_mid, stats_mid, up, lora, .. } = acts;
        let Workspace { branch, dx, act, norm, dnorm, linear, .. } = ws;
        let (act, up) = own_part(config, rows, act, up);
        let (ids, tensors) = (&weights.layers[n], &mut weights.tensors[..]);
        linear::receive(branch, tensors, adapter.as_ref(), &down_place, linear);
        linear::backward_input(act, branch, tensors, adapter.as_ref(), &down_place, linear, false);
        // The activation is computed again rather than kept.
        if config.gated {
            cpu::gated_backward(act, up, config.intermediate_size, config.activation);
        } else {
            cpu::activate_backward(act, up, config.activation);
        }
        let hidden = &lora[slot::down(0)];
        linear::backward_weights(branch, act, hidden, tensors, adapter.as_mut(), &down_place, linear);
        if trains_up || below {
            linear::receive(up, tensors, adapter.as_ref(), &up_place, linear);
        }
        if trains_up {
            let input: &[f32] = match &ids.before_mlp {
                Some(ids) => {
                    norms::forward(config, tensors, ids, norm, stats_mid, x_mid);
                    norm
                }
                None => x_mid,
            };
            let hidden = &lora[slot::up(0)];
            linear::backward_weights(up, input, hidden, tensors, adapter.as_mut(), &up_place, linear);
        }
        if !below {
            return;
        }
        match &ids.before_mlp {
            Some(ids) => {
                linear::backward_input(dnorm, up, tensors, adapter.as_ref(), &up_place, linear, false);
                norms::backward(config, tensors, ids, dx, dnorm, x_mid, stats_mid);
            }
            None => linear::backward_input(dx, up, tensors, adapter.as_ref(), &up_place, linear, true),
        }
    }
}
