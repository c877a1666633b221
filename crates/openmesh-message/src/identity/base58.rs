//! Base58 (the alphabet of Bitcoin) of a key and its multicodec: ids are written far more often than texts of any length.

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Digits that are taken out of the number at a time.
const GROUP_DIGITS: usize = 5;
/// 58 to the power of as many.
const GROUP: u64 = 656_356_768;
/// Digits of the largest number of 34 bytes, in whole groups.
const DIGITS_MAX: usize = 50;

/// Digits, written from the last to the first.
pub(super) struct Digits {
    bytes: [u8; DIGITS_MAX],
    begin: usize,
}

impl Digits {
    pub(super) fn as_str(&self) -> &str {
        let digits = self.bytes.get(self.begin..).unwrap_or_default();
        std::str::from_utf8(digits).unwrap_or_default()
    }
}

/// The digits of the bytes of a multicodec and a key. The multicodec does not begin with zero.
pub(super) fn of_key(multicodec: [u8; 2], key: &[u8; 32]) -> Digits {
    let mut words = words_of(multicodec, key);
    let mut bytes = [b'1'; DIGITS_MAX];
    // What stands at the front is used up first.
    let mut rest: &mut [u32] = &mut words;
    let (groups, _) = bytes.as_chunks_mut::<GROUP_DIGITS>();
    for digits in groups.iter_mut().rev() {
        let mut group = divide(rest);
        for digit in digits.iter_mut().rev() {
            *digit = ALPHABET.get((group % 58) as usize).copied().unwrap_or_default();
            group /= 58;
        }
        if rest.first() == Some(&0) {
            rest = rest.get_mut(1..).unwrap_or_default();
        }
    }
    let begin = bytes.iter().take_while(|digit| **digit == b'1').count();
    Digits { bytes, begin }
}

/// The number in words of 32 bits, the highest first.
fn words_of(multicodec: [u8; 2], key: &[u8; 32]) -> [u32; 9] {
    let mut words = [0; 9];
    let (words_of_key, _) = key.as_chunks::<4>();
    let first = u32::from(u16::from_be_bytes(multicodec));
    let all = std::iter::once(first).chain(words_of_key.iter().map(|word| u32::from_be_bytes(*word)));
    words.iter_mut().zip(all).for_each(|(word, value)| *word = value);
    words
}

/// Divides the number by 58 to the fifth; gives what is left.
fn divide(words: &mut [u32]) -> u32 {
    let mut left = 0_u64;
    for word in words {
        let value = left << 32 | u64::from(*word);
        *word = (value / GROUP) as u32;
        left = value % GROUP;
    }
    left as u32
}

#[cfg(test)]
mod tests {
    use super::of_key;
    use proptest::prelude::{any, proptest};

    proptest! {
        #[test]
        fn keys_are_written_as_bs58_writes_them(key in any::<[u8; 32]>()) {
            for key in [key, [0; 32], [255; 32]] {
                let bytes = [&[0xed, 0x01][..], &key].concat();
                assert_eq!(of_key([0xed, 0x01], &key).as_str(), bs58::encode(bytes).into_string());
            }
        }
    }
}
