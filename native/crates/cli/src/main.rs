//! `tillage-native`: the engine's binary.
fn main() {
    if std::env::args().nth(1).as_deref() == Some("schema") {
        println!("{}", tillage_protocol::schema::all());
    }
}
