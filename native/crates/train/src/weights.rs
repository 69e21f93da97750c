//! What each row weighs: a column of numbers that the run names.

use parquet::record::Field;
use tillage_protocol::run::Objective;
use tillage_protocol::{EngineError, RunSpec};

/// A row's weight from its cell.
///
/// # Errors
/// `bad_weight` naming the row: it is missing, no number, not finite, or below 0.
pub fn of(cell: Option<&Field>, column: &str, id: &str) -> Result<f32, EngineError> {
    let bad = |what: String| {
        EngineError::user(
            "bad_weight",
            format!("`{column}` of the row {id} is {what}, and a row's weight is a number, 0 or more."),
            format!("Give every row a number in `{column}`, or filter such rows out in the recipe."),
        )
    };
    let value = match cell {
        Some(Field::Float(x)) => f64::from(*x),
        Some(Field::Double(x)) => *x,
        Some(Field::Byte(x)) => f64::from(*x),
        Some(Field::Short(x)) => f64::from(*x),
        Some(Field::Int(x)) => f64::from(*x),
        Some(Field::Long(x)) => *x as f64,
        Some(Field::UByte(x)) => f64::from(*x),
        Some(Field::UShort(x)) => f64::from(*x),
        Some(Field::UInt(x)) => f64::from(*x),
        Some(Field::ULong(x)) => *x as f64,
        // DuckDB writes literals such as 1.5 as decimals.
        Some(Field::Decimal(_)) => {
            cell.and_then(|c| c.to_string().parse().ok()).ok_or_else(|| bad("no number".into()))?
        }
        Some(Field::Null) | None => return Err(bad("missing".into())),
        Some(other) => return Err(bad(format!("no number: {}", short(other)))),
    };
    if !(value.is_finite() && value >= 0.0 && value <= f64::from(f32::MAX)) {
        return Err(bad(format!("{value}")));
    }
    Ok(value as f32)
}

/// The beginning of a cell's text.
fn short(cell: &Field) -> String {
    cell.to_string().chars().take(20).collect()
}

/// The error of a dataset without the column.
pub fn no_column(column: &str, columns: &str) -> EngineError {
    EngineError::user(
        "no_weight_column",
        format!("The dataset has no column `{column}`, from which `weight` is to be read; its columns are {columns}."),
        "Name a column of numbers in the run file's `weight`, or take `weight` out.",
    )
}

/// Whether an objective's rows can be weighed: its loss is a mean over them, or over their tokens.
///
/// # Errors
/// A bad setting of `weight`, blamed on the user.
pub fn check(spec: &RunSpec) -> Result<(), EngineError> {
    match (&spec.weight, spec.objective) {
        (Some(_), Objective::Kto) => crate::spec::bad(
            "weight",
            "is set, and KTO measures its drift over the batch: it has `desirable_weight` and `undesirable_weight`".into(),
        ),
        (Some(_), Objective::Grpo | Objective::Rloo | Objective::Ppo) => crate::spec::bad(
            "weight",
            "is set, and an objective on the model's own answers weighs them by their rewards".into(),
        ),
        (Some(column), _) if column.is_empty() => crate::spec::bad("weight", "names no column".into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_a_number_of_0_or_more() {
        for (cell, weight) in [
            (Field::Double(0.25), 0.25),
            (Field::Float(2.0), 2.0),
            (Field::Long(3), 3.0),
            (Field::UByte(0), 0.0),
        ] {
            assert_eq!(of(Some(&cell), "w", "a").unwrap(), weight);
        }
        for cell in [
            Field::Null,
            Field::Double(f64::NAN),
            Field::Double(f64::INFINITY),
            Field::Double(1e300),
            Field::Double(-0.5),
            Field::Int(-1),
            Field::Str("2".into()),
            Field::Bool(true),
        ] {
            let error = of(Some(&cell), "w", "row-7").unwrap_err();
            assert!(error.code == "bad_weight" && error.message.contains("row-7"), "{error:?}");
        }
        assert_eq!(of(None, "w", "a").unwrap_err().code, "bad_weight");
    }
}
