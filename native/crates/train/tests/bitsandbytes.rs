//! 8-bit states against bitsandbytes: the same values of the dynamic code, and the same codes for the same numbers.

use safetensors::SafeTensors;
use std::path::{Path, PathBuf};
use tillage_kernels::cpu::{Blocks, DynamicCode, BLOCK_8BIT};

#[test]
fn codes_are_those_of_bitsandbytes() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let shared = std::env::var_os("TILLAGE_SHARED").map_or_else(|| project.join("../shared"), PathBuf::from);
    let Ok(bytes) = std::fs::read(shared.join("fixtures/quant/golden.safetensors")) else {
        println!("not compared: the fixtures are not on this machine (set TILLAGE_SHARED to the folder that holds fixtures/)");
        return;
    };
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |name: &str| -> Vec<f32> {
        let view = file.tensor(name).unwrap();
        view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    let code = DynamicCode::signed();
    assert_eq!(floats("int8_dynamic.code_table"), code.values(), "bit for bit");
    let weights = floats("W");
    let ours = Blocks::of(&weights, code);
    assert_eq!(ours.largest, floats("int8_dynamic256.absmax"));
    // bitsandbytes finds the nearest value through a table of its own, which now and then takes the other of two that are
    // almost equally near, and is coarse close to 0: where the codes differ, theirs is farther by under 1 % of the step between
    // the two, or by under 3e-5 of the block's largest.
    let theirs = file.tensor("int8_dynamic256.codes").unwrap().data();
    let mut others = 0;
    for (i, (a, b)) in ours.codes.iter().zip(theirs).enumerate() {
        if a == b {
            continue;
        }
        others += 1;
        let x = weights[i] / ours.largest[i / BLOCK_8BIT];
        let [own, other] = [*a, *b].map(|c| code.values()[c as usize]);
        let farther = (other - x).abs() - (own - x).abs();
        assert!(farther >= 0.0, "{x} became {own}, and {other} is nearer");
        assert!(farther < 3e-5 || farther < 0.01 * (other - own).abs(), "{x} became {own} and {other}");
    }
    assert!(others * 100 < theirs.len(), "{others} of {}", theirs.len());
}
