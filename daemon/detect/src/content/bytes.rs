//! Steps that read bytes of a buffer as numbers or ask how much of it there is: `byte_test`,
//! `byte_jump`, `byte_extract`, `isdataat`. Places and failures are as in Suricata: a number that is not
//! wholly within the buffer is no match.

use super::Variables;

/// A number in a rule: written, or extracted from the buffer before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    Fixed(i64),
    /// Of the variable with this number.
    Extracted(usize),
}

impl Amount {
    pub(super) fn value(self, variables: &Variables) -> i64 {
        match self {
            Self::Fixed(value) => value,
            Self::Extracted(variable) => {
                i64::try_from(variables.get(variable).copied().unwrap_or(0)).unwrap_or(i64::MAX)
            }
        }
    }
}

/// How the bytes stand for a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Big,
    Little,
    /// Text in this base; 0 is told from the text, as in C.
    Text(u32),
}

/// Where a number stands, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    /// How many bytes it has; 0 gives the number 0, except in text.
    pub(crate) length: Amount,
    pub(crate) offset: Amount,
    /// Is the offset from the end of the match before?
    pub(crate) relative: bool,
    pub(crate) form: Form,
}

/// Most bytes of a number.
pub(crate) const BINARY_MAX: i64 = 8;
/// Most characters of one in text: as many as the largest has in octal, and a zero before.
pub(crate) const TEXT_MAX: i64 = 23;

impl Number {
    /// The number, where it starts and where it ends.
    fn read(&self, bytes: &[u8], previous: usize, variables: &Variables) -> Option<(u64, usize, usize)> {
        let base = if self.relative { i64::try_from(previous).ok()? } else { 0 };
        let start = usize::try_from(base.checked_add(self.offset.value(variables))?).ok()?;
        let length = self.length.value(variables);
        let most = if matches!(self.form, Form::Text(_)) { TEXT_MAX } else { BINARY_MAX };
        let length = usize::try_from(length).ok().filter(|_| length <= most)?;
        let part = bytes.get(start..start.checked_add(length)?)?;
        if self.relative && start >= bytes.len() {
            return None;
        }
        let joined = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self.form {
            Form::Big => Some((part.iter().fold(0, joined), start, start + length)),
            Form::Little => Some((part.iter().rev().fold(0, joined), start, start + length)),
            Form::Text(base) => {
                let (number, used) = text_number(part, base)?;
                Some((number, start, start + used))
            }
        }
    }
}

/// The number that `text` begins with and how many characters that took; `None` where it begins with
/// none or with one beyond 64 bits.
fn text_number(text: &[u8], base: u32) -> Option<(u64, usize)> {
    let blanks = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let rest = text.get(blanks..)?;
    let hex = rest.len() > 2
        && rest.first() == Some(&b'0')
        && matches!(rest.get(1), Some(b'x' | b'X'))
        && rest.get(2).is_some_and(u8::is_ascii_hexdigit);
    let (base, prefix) = match base {
        0 | 16 if hex => (16, 2),
        0 if rest.first() == Some(&b'0') => (8, 0),
        0 => (10, 0),
        base => (base, 0),
    };
    let digits = rest.get(prefix..)?.iter().map_while(|&byte| char::from(byte).to_digit(base));
    let (mut number, mut count) = (0_u64, 0);
    for digit in digits {
        number = number.checked_mul(u64::from(base))?.checked_add(u64::from(digit))?;
        count += 1;
    }
    (count > 0).then_some((number, blanks + prefix + count))
}

/// What `byte_test` asks of its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    /// Have they a bit in common?
    And,
    /// Do they differ?
    Xor,
}

/// `byte_test`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteTest {
    pub(crate) number: Number,
    /// Bits of the number that count, moved down to the lowest of them.
    pub(crate) mask: Option<u64>,
    pub(crate) comparison: Comparison,
    pub(crate) negated: bool,
    pub(crate) value: Value,
}

/// What it is compared with, in all 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Fixed(u64),
    Extracted(usize),
}

impl Value {
    fn of(self, variables: &Variables) -> u64 {
        match self {
            Self::Fixed(value) => value,
            Self::Extracted(variable) => variables.get(variable).copied().unwrap_or(0),
        }
    }
}

impl ByteTest {
    pub(super) fn holds(&self, bytes: &[u8], previous: usize, variables: &Variables) -> bool {
        let Some((number, ..)) = self.number.read(bytes, previous, variables) else { return false };
        let number = masked(number, self.mask);
        let value = self.value.of(variables);
        let holds = match self.comparison {
            Comparison::Equal => number == value,
            Comparison::Less => number < value,
            Comparison::Greater => number > value,
            Comparison::LessOrEqual => number <= value,
            Comparison::GreaterOrEqual => number >= value,
            Comparison::And => number & value != 0,
            Comparison::Xor => number ^ value != 0,
        };
        holds != self.negated
    }
}

fn masked(number: u64, mask: Option<u64>) -> u64 {
    match mask {
        Some(mask) if mask != 0 => (number & mask) >> mask.trailing_zeros(),
        _ => number,
    }
}

/// Where `byte_jump` counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The end of the number.
    Number,
    Beginning,
    End,
}

/// `byte_jump`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteJump {
    pub(crate) number: Number,
    pub(crate) multiplier: u32,
    /// Is the distance rounded up to a multiple of 4?
    pub(crate) align: bool,
    pub(crate) origin: Origin,
    pub(crate) post_offset: i32,
}

impl ByteJump {
    /// Where it leads; `None` where it fails, as when that is behind the buffer. A place before the
    /// buffer is its start.
    pub(super) fn target(&self, bytes: &[u8], previous: usize, variables: &Variables) -> Option<usize> {
        if bytes.is_empty() {
            return None;
        }
        let (number, _, end) = self.number.read(bytes, previous, variables)?;
        let mut distance = i128::from(number) * i128::from(self.multiplier);
        if self.align {
            distance = (distance + 3) & !3;
        }
        distance += i128::from(self.post_offset);
        let from = match self.origin {
            Origin::Number => end,
            Origin::Beginning => 0,
            Origin::End => bytes.len(),
        };
        let target = i128::try_from(from).ok()?.checked_add(distance)?.max(0);
        usize::try_from(target).ok().filter(|&target| target < bytes.len())
    }
}

/// `byte_extract`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteExtract {
    pub(crate) number: Number,
    pub(crate) variable: usize,
    pub(crate) multiplier: u16,
    /// What the value is rounded up to a multiple of: 1, 2 or 4.
    pub(crate) align: u64,
}

impl ByteExtract {
    /// Sets the variable; gives where the number ends.
    pub(super) fn extract(&self, bytes: &[u8], previous: usize, variables: &mut Variables) -> Option<usize> {
        let (number, _, end) = self.number.read(bytes, previous, variables)?;
        let value = number.wrapping_mul(u64::from(self.multiplier));
        let value = value.checked_next_multiple_of(self.align).unwrap_or(value);
        *variables.get_mut(self.variable)? = value;
        Some(end)
    }
}

/// What `byte_math` does with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    ShiftLeft,
    ShiftRight,
}

/// `byte_math`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteMath {
    pub(crate) number: Number,
    pub(crate) mask: Option<u64>,
    pub(crate) operation: Operation,
    pub(crate) operand: Value,
    pub(crate) variable: usize,
}

impl ByteMath {
    /// Sets the variable; gives where the number ends. Division by zero is no match; what leaves 64 bits
    /// wraps around.
    pub(super) fn compute(&self, bytes: &[u8], previous: usize, variables: &mut Variables) -> Option<usize> {
        let (number, _, end) = self.number.read(bytes, previous, variables)?;
        let number = masked(number, self.mask);
        let operand = self.operand.of(variables);
        let shift = u32::try_from(operand).unwrap_or(u32::MAX);
        let value = match self.operation {
            Operation::Add => number.wrapping_add(operand),
            Operation::Subtract => number.wrapping_sub(operand),
            Operation::Multiply => number.wrapping_mul(operand),
            Operation::Divide => number.checked_div(operand)?,
            Operation::ShiftLeft => number.checked_shl(shift).unwrap_or(0),
            Operation::ShiftRight => number.checked_shr(shift).unwrap_or(0),
        };
        *variables.get_mut(self.variable)? = value;
        Some(end)
    }
}

/// `isdataat`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataAt {
    pub(crate) offset: Amount,
    pub(crate) relative: bool,
    pub(crate) negated: bool,
}

impl DataAt {
    /// Counted from the buffer's start there must be a byte at the offset; counted from the match
    /// before, the offset may be the buffer's end.
    pub(super) fn holds(&self, length: usize, previous: usize, variables: &Variables) -> bool {
        let offset = i128::from(self.offset.value(variables));
        let length = i128::try_from(length).unwrap_or(i128::MAX);
        let there = if self.relative {
            i128::try_from(previous).is_ok_and(|previous| previous + offset <= length)
        } else {
            offset < length
        };
        there != self.negated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Variables = [0; super::super::VARIABLES_MAX];

    fn number(length: i64, offset: i64, relative: bool, form: Form) -> Number {
        Number { length: Amount::Fixed(length), offset: Amount::Fixed(offset), relative, form }
    }

    #[test]
    fn numbers_are_read_where_they_stand() {
        let check = |number: Number, bytes: &[u8], expect: Option<(u64, usize, usize)>| {
            assert_eq!(number.read(bytes, 1, &NONE), expect, "{number:?} in {bytes:?}");
        };
        check(number(2, 0, false, Form::Big), &[1, 2, 3], Some((0x0102, 0, 2)));
        check(number(2, 0, true, Form::Big), &[1, 2, 3], Some((0x0203, 1, 3)));
        check(number(2, 0, true, Form::Little), &[1, 2, 3], Some((0x0302, 1, 3)));
        check(number(2, -1, true, Form::Big), &[1, 2, 3], Some((0x0102, 0, 2)));
        check(number(2, -2, true, Form::Big), &[1, 2, 3], None);
        check(number(2, 2, false, Form::Big), &[1, 2, 3], None);
        check(number(0, 3, false, Form::Big), &[1, 2, 3], Some((0, 3, 3)));
        check(number(0, 2, true, Form::Big), &[1, 2, 3], None);
        check(number(8, 0, false, Form::Big), &[255; 8], Some((u64::MAX, 0, 8)));
        check(number(3, 0, false, Form::Text(10)), b"12a", Some((12, 0, 2)));
        check(number(3, 0, false, Form::Text(16)), b"12a", Some((0x12a, 0, 3)));
        check(number(3, 0, false, Form::Text(8)), b" 19", Some((1, 0, 2)));
        check(number(4, 0, false, Form::Text(0)), b"0x1f", Some((0x1f, 0, 4)));
        check(number(4, 0, false, Form::Text(0)), b"017 ", Some((0o17, 0, 3)));
        check(number(2, 0, false, Form::Text(16)), b"0x", Some((0, 0, 1)));
        check(number(1, 0, false, Form::Text(10)), b"a", None);
        check(number(0, 0, false, Form::Text(10)), b"1", None);
        check(number(20, 0, false, Form::Text(10)), b"18446744073709551616", None);
    }

    #[test]
    fn tests_compare() {
        let check = |comparison, negated, mask, value, expect: bool| {
            let number = number(2, 0, false, Form::Big);
            let test = ByteTest { number, mask, comparison, negated, value: Value::Fixed(value) };
            assert_eq!(test.holds(&[0x12, 0x34], 0, &NONE), expect, "{test:?}");
            assert!(!test.holds(&[0x12], 0, &NONE), "not all there is no match, negated or not");
        };
        check(Comparison::Equal, false, None, 0x1234, true);
        check(Comparison::Equal, true, None, 0x1234, false);
        check(Comparison::Equal, false, Some(0x0ff0), 0x23, true);
        check(Comparison::Less, false, None, 0x1235, true);
        check(Comparison::Less, false, None, 0x1234, false);
        check(Comparison::LessOrEqual, false, None, 0x1234, true);
        check(Comparison::Greater, false, None, 0x1234, false);
        check(Comparison::GreaterOrEqual, false, None, 0x1234, true);
        check(Comparison::And, false, None, 0x4, true);
        check(Comparison::And, false, None, 0x8, false);
        check(Comparison::Xor, false, None, 0x1234, false);
    }

    #[test]
    fn jumps_lead_within_the_buffer() {
        let check = |jump: ByteJump, expect: Option<usize>| {
            assert_eq!(jump.target(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0, &NONE), expect, "{jump:?}");
        };
        let jump = ByteJump {
            number: number(1, 0, false, Form::Big),
            multiplier: 1,
            align: false,
            origin: Origin::Number,
            post_offset: 0,
        };
        check(jump, Some(4));
        check(ByteJump { multiplier: 2, ..jump }, Some(7));
        check(ByteJump { align: true, ..jump }, Some(5));
        check(ByteJump { origin: Origin::Beginning, ..jump }, Some(3));
        check(ByteJump { origin: Origin::End, post_offset: -4, ..jump }, Some(9));
        check(ByteJump { origin: Origin::End, post_offset: -3, ..jump }, None);
        check(ByteJump { post_offset: -4, ..jump }, Some(0));
        check(ByteJump { post_offset: -9, ..jump }, Some(0));
        check(ByteJump { multiplier: 3, ..jump }, None);
        assert_eq!(jump.target(&[], 0, &NONE), None);
    }

    #[test]
    fn extraction_sets_its_variable_and_moves_on() {
        let extract =
            ByteExtract { number: number(1, 1, false, Form::Big), variable: 2, multiplier: 3, align: 4 };
        let mut variables = NONE;
        assert_eq!(extract.extract(&[9, 7], 0, &mut variables), Some(2));
        assert_eq!(variables[2], 24);
        assert_eq!(Amount::Extracted(2).value(&variables), 24);
        assert_eq!(extract.extract(&[9], 0, &mut variables), None);
    }

    #[test]
    fn data_is_at_an_offset() {
        let check = |offset, relative, negated, expect: bool| {
            let test = DataAt { offset: Amount::Fixed(offset), relative, negated };
            assert_eq!(test.holds(32, 1, &NONE), expect, "{test:?}");
        };
        check(31, false, false, true);
        check(32, false, false, false);
        check(32, false, true, true);
        check(31, true, false, true);
        check(32, true, false, false);
        check(32, true, true, true);
    }
}
