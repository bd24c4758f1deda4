//! Pickles by hand.

use super::*;
use proptest::prelude::*;

fn top(bytes: &[u8]) -> Result<Value, PickleError> {
    read(bytes).map(|pickle| pickle.top().clone())
}

#[test]
fn plain_values_are_read() {
    assert_eq!(top(b"\x80\x02K\x07."), Ok(Value::Int(7)));
    assert_eq!(top(b"J\xff\xff\xff\xff."), Ok(Value::Int(-1)));
    assert_eq!(top(b"\x8a\x02\x00\xff."), Ok(Value::Int(-256)));
    assert_eq!(top(b"X\x02\0\0\0ab."), Ok(Value::Text("ab".to_owned())));
}

#[test]
fn nothing_is_called() {
    let system = top(b"cos\nsystem\n(X\x02\0\0\0lstR.").unwrap_err();
    assert_eq!(system, PickleError::Global { module: "os".into(), name: "system".into() });
    let eval = top(b"\x8c\x08builtins\x8c\x04eval\x93.").unwrap_err();
    assert_eq!(
        eval.to_string(),
        "it holds builtins.eval; only tensors and dictionaries of them are admitted"
    );
    // NEWOBJ, INST and OBJ make objects too.
    for opcode in *b"\x81\x92io\x82P" {
        let error = top(&[b'N', b'N', opcode, b'.']).unwrap_err();
        assert_eq!(error, PickleError::Opcode { opcode, at: 2 });
    }
}

#[test]
fn broken_pickles_are_refused() {
    for (bytes, error) in [
        (&b""[..], PickleError::Short),
        (b"X\xff\xff\xff\xffab.", PickleError::Short),
        (b".", PickleError::Stack { at: 1 }),
        (b"(a", PickleError::Stack { at: 2 }),
        (b"t", PickleError::Stack { at: 1 }),
        (b"N)R", PickleError::Misuse { at: 3 }),
        (b"}(Nu", PickleError::Misuse { at: 4 }),
        (b"h\x01", PickleError::Misuse { at: 2 }),
        (b"NQ", PickleError::Storage { at: 2 }),
    ] {
        assert_eq!(read(bytes).unwrap_err(), error, "{bytes:?}");
    }
}

#[test]
fn a_deep_nest_and_a_flood_cost_little() {
    let deep = [&b")"[..], &vec![0x85; 1 << 19], b"."].concat();
    assert!(matches!(top(&deep), Ok(Value::Tuple(_))));
    let flood = vec![b'N'; MOST_VALUES + 1];
    assert_eq!(top(&flood), Err(PickleError::TooMany));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }
}
