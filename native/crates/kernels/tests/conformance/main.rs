//! Every operation of a backend against the plain reference in f64, and the reference's gradients against finite
//! differences in f64. A new backend is one more caller of the same checks.

mod attention;
mod coded;
mod frozen;
mod layers;
mod loss_and_optimizer;
mod low_rank;
mod optimizers;
mod products;
mod support;
