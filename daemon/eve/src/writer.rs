//! Compact JSON written straight into a vector: what `serde_json` writes, byte for byte, in a fraction of the
//! instructions.
//!
//! Two things make the difference: text is looked at and copied eight bytes at a time, and every value is followed by
//! a comma, which the end of its object or array overwrites, so that nobody has to know who is first.
//!
//! It calls itself not human-readable, which is how values of our own know that they may hand over text as bytes
//! ([`crate::value::plain`]): `serialize_bytes` takes ASCII that needs no escape, and neither looks at it again. No type
//! here means an array by it. Variants with fields are refused: no record has any.

mod line;
mod text;

pub(crate) use line::{Line, OCTETS, pair};

use serde::ser::{self, Error as _, Impossible};
use serde::{Serialize, Serializer};
use serde_json::Error;
use std::fmt::{self, Display, Write};
use text::{copy, text};

/// Writes one value to the end of a vector.
#[derive(Debug)]
pub(crate) struct Json<'o>(pub(crate) &'o mut Vec<u8>);

impl<'o> Json<'o> {
    fn open(self, start: u8, end: u8) -> Parts<'o> {
        self.0.push(start);
        Parts { out: self.0, end }
    }
}

/// What differs between whole numbers is how long they are.
macro_rules! integers {
    ($($name:ident: $number:ty,)*) => {$(
        fn $name(self, value: $number) -> Result<(), Error> {
            copy(self.0, itoa::Buffer::new().format(value).as_bytes());
            Ok(())
        }
    )*};
}

impl<'o> Serializer for Json<'o> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'o>;
    type SerializeTuple = Parts<'o>;
    type SerializeTupleStruct = Parts<'o>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Parts<'o>;
    type SerializeStruct = Parts<'o>;
    type SerializeStructVariant = Impossible<(), Error>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        serde_json::to_writer(self.0, &value)
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        serde_json::to_writer(self.0, &value)
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.0.push(b'"');
        text(self.0, value.as_bytes());
        self.0.push(b'"');
        Ok(())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.0.push(b'"');
        self.0.extend_from_slice(value);
        self.0.push(b'"');
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let mut object = self.open(b'{', b'}');
        ser::SerializeStruct::serialize_field(&mut object, variant, value)?;
        ser::SerializeStruct::end(object)
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Parts<'o>, Error> {
        Ok(self.open(b'[', b']'))
    }

    fn serialize_tuple(self, _length: usize) -> Result<Parts<'o>, Error> {
        Ok(self.open(b'[', b']'))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Parts<'o>, Error> {
        Ok(self.open(b'[', b']'))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(Error::custom(format_args!("{name} has variants with fields")))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Parts<'o>, Error> {
        Ok(self.open(b'{', b'}'))
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Parts<'o>, Error> {
        Ok(self.open(b'{', b'}'))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        Err(Error::custom(format_args!("{name} has variants with fields")))
    }

    fn collect_str<T: ?Sized + Display>(self, value: &T) -> Result<(), Error> {
        self.0.push(b'"');
        write!(Escaping(self.0), "{value}").map_err(Error::custom)?;
        self.0.push(b'"');
        Ok(())
    }
}

/// What is within an object or an array.
#[derive(Debug)]
pub(crate) struct Parts<'o> {
    out: &'o mut Vec<u8>,
    end: u8,
}

impl Parts<'_> {
    /// A value, and the comma that the end overwrites where nothing follows.
    #[inline]
    fn value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(Json(self.out))?;
        self.out.push(b',');
        Ok(())
    }

    #[inline]
    fn close(self) {
        match self.out.last_mut() {
            Some(comma @ b',') => *comma = self.end,
            _ => self.out.push(self.end),
        }
    }
}

/// Whatever is an array in JSON.
macro_rules! arrays {
    ($($kind:ident: $add:ident,)*) => {$(
        impl ser::$kind for Parts<'_> {
            type Ok = ();
            type Error = Error;

            fn $add<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
                self.value(value)
            }

            fn end(self) -> Result<(), Error> {
                self.close();
                Ok(())
            }
        }
    )*};
}

arrays! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
}

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;

    #[inline]
    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Error> {
        key.serialize(Json(self.out))?;
        self.out.push(b':');
        Ok(())
    }

    #[inline]
    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
        self.value(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

impl ser::SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = Error;

    /// Names of fields are not looked at: they are ours. In line, so that their lengths are known where they are copied.
    #[inline(always)]
    fn serialize_field<T: ?Sized + Serialize>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.out.push(b'"');
        copy(self.out, key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.value(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

/// What a value writes when it is printed.
struct Escaping<'o>(&'o mut Vec<u8>);

impl Write for Escaping<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        text(self.0, part.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn check(value: &impl Serialize) {
        let mut out = b"before".to_vec();
        value.serialize(Json(&mut out)).unwrap();
        let expected = format!("before{}", serde_json::to_string(value).unwrap());
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[derive(Serialize)]
    struct All<'a> {
        a: (),
        bytes: (u8, i8, u16, i16, u32, i32, u64, i64),
        fractions: (f32, f64),
        yes: bool,
        no: bool,
        nothing: Option<u8>,
        nested: [&'a str; 2],
        empty: [u8; 0],
        none: BTreeMap<String, u8>,
        kind: Kind,
        other: Kind,
        letter: char,
    }

    #[derive(Serialize)]
    enum Kind {
        Plain,
        Holding(u8),
    }

    #[test]
    fn every_kind_of_value() {
        let words = (u8::MAX, i8::MIN, u16::MAX, i16::MIN, u32::MAX, i32::MIN, u64::MAX, i64::MIN);
        check(&All {
            a: (),
            bytes: words,
            fractions: (0.1, -1.5e300),
            yes: true,
            no: false,
            nothing: None,
            nested: ["", "x\u{1f600}"],
            empty: [],
            none: BTreeMap::new(),
            kind: Kind::Plain,
            other: Kind::Holding(1),
            letter: '"',
        });
    }

    #[test]
    fn each_byte_at_each_place() {
        for length in 1..20 {
            for place in 0..length {
                for byte in 0..0x80_u8 {
                    let mut text = vec![b'x'; length];
                    text[place] = byte;
                    check(&std::str::from_utf8(&text).unwrap());
                }
            }
        }
    }

    #[test]
    fn variants_with_fields_are_refused() {
        #[derive(Serialize)]
        enum Refused {
            Fields { _a: u8 },
            Tuple(u8, u8),
        }
        for value in [Refused::Fields { _a: 1 }, Refused::Tuple(1, 2)] {
            assert!(value.serialize(Json(&mut Vec::new())).is_err());
        }
    }

    proptest! {
        #[test]
        fn texts_and_numbers(texts in proptest::collection::vec(any::<String>(), 0..4), number in any::<u64>()) {
            check(&texts);
            check(&texts.iter().map(|text| (text, number)).collect::<BTreeMap<_, _>>());
            let mut printed = Vec::new();
            Json(&mut printed).collect_str(&format_args!("{texts:?}{number}")).unwrap();
            let expected = serde_json::to_string(&format!("{texts:?}{number}")).unwrap();
            prop_assert_eq!(String::from_utf8(printed).unwrap(), expected);
        }
    }
}
