//! A bit for each byte of a page.

use super::WORDS;

pub(super) fn bit(words: &[u64; WORDS], at: u64) -> bool {
    usize::try_from(at / 64)
        .ok()
        .and_then(|word| words.get(word))
        .is_some_and(|word| word >> (at % 64) & 1 == 1)
}

pub(super) fn first_set(words: &[u64; WORDS], from: u64) -> Option<u64> {
    search(from, |word| words.get(word).copied())
}

pub(super) fn first_clear(words: &[u64; WORDS], from: u64) -> Option<u64> {
    search(from, |word| words.get(word).map(|word| !word))
}

/// The first bit at `from` or after it that is set in what `word` gives.
fn search(from: u64, word: impl Fn(usize) -> Option<u64>) -> Option<u64> {
    let first = usize::try_from(from / 64).ok()?;
    let mut mask = u64::MAX << (from % 64);
    for number in first..WORDS {
        let bits = word(number)? & mask;
        if bits != 0 {
            return Some(number as u64 * 64 + u64::from(bits.trailing_zeros()));
        }
        mask = u64::MAX;
    }
    None
}

/// The last bit before `to` that is not set.
pub(super) fn last_clear_before(words: &[u64; WORDS], to: u64) -> Option<u64> {
    let last = to.checked_sub(1)?;
    let first = usize::try_from(last / 64).ok()?;
    let mut mask = u64::MAX >> (63 - last % 64);
    for number in (0..=first).rev() {
        let bits = !words.get(number)? & mask;
        if bits != 0 {
            return Some(number as u64 * 64 + 63 - u64::from(bits.leading_zeros()));
        }
        mask = u64::MAX;
    }
    None
}

pub(super) fn set_range(words: &mut [u64; WORDS], from: usize, to: usize) {
    each_word(words, from, to, |word, mask| *word |= mask);
}

pub(super) fn clear_range(words: &mut [u64; WORDS], from: usize, to: usize) {
    each_word(words, from, to, |word, mask| *word &= !mask);
}

/// Calls `act` with every word that `from..to` touches, and the bits of it that are in that range.
#[inline]
fn each_word(words: &mut [u64; WORDS], from: usize, to: usize, act: impl Fn(&mut u64, u64)) {
    let Some(end) = to.checked_sub(1).filter(|end| from <= *end) else { return };
    let Some(touched) = words.get_mut(from / 64..=end / 64) else { return };
    let (first, last) = (u64::MAX << (from % 64), u64::MAX >> (63 - end % 64));
    match touched {
        [] => {}
        [only] => act(only, first & last),
        [head, whole @ .., tail] => {
            act(head, first);
            whole.iter_mut().for_each(|word| act(word, u64::MAX));
            act(tail, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_again() {
        for (from, to) in [(0, 1), (5, 64), (63, 65), (64, 128), (0, 1024), (1023, 1024), (100, 900)] {
            let mut words = [0; WORDS];
            set_range(&mut words, from, to);
            let (first, last) = (from as u64, to as u64);
            assert_eq!(first_set(&words, 0), Some(first), "{from}..{to}");
            assert_eq!(first_clear(&words, first), (to < 1024).then_some(last), "{from}..{to}");
            assert_eq!(last_clear_before(&words, last), first.checked_sub(1), "{from}..{to}");
            assert!(bit(&words, last - 1) && !bit(&words, last));
            clear_range(&mut words, from, to);
            assert_eq!(words, [0; WORDS]);
            set_range(&mut words, to, from);
            set_range(&mut words, from, from);
            assert_eq!(words, [0; WORDS], "nothing is in {to}..{from}");
        }
    }
}
