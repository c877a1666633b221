//! Base58 (the alphabet of Bitcoin) of a key and its multicodec: ids are written far more often than texts of any length.

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Digits that are taken out of the number at a time.
const GROUP_DIGITS: usize = 5;
/// 58 to the power of as many.
const GROUP: u64 = 656_356_768;
/// Digits of the largest number of 34 bytes, in whole groups.
const DIGITS_MAX: usize = 50;

/// The digits of the bytes of a multicodec and a key. The multicodec does not begin with zero.
pub(super) fn of_key(multicodec: [u8; 2], key: &[u8; 32]) -> String {
    let mut words = words_of(multicodec, key);
    let mut digits = Vec::with_capacity(DIGITS_MAX);
    // What stands at the front is used up first.
    let mut rest: &mut [u32] = &mut words;
    while !rest.is_empty() {
        let mut group = divide(rest);
        for _ in 0..GROUP_DIGITS {
            digits.push(ALPHABET.get((group % 58) as usize).copied().unwrap_or_default());
            group /= 58;
        }
        let zeros = rest.iter().take_while(|word| **word == 0).count();
        rest = rest.get_mut(zeros..).unwrap_or_default();
    }
    digits.iter().rev().skip_while(|digit| **digit == b'1').map(|digit| char::from(*digit)).collect()
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
fn divide(words: &mut [u32]) -> u64 {
    let mut left = 0_u64;
    for word in words {
        let value = left << 32 | u64::from(*word);
        *word = (value / GROUP) as u32;
        left = value % GROUP;
    }
    left
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
                assert_eq!(of_key([0xed, 0x01], &key), bs58::encode(bytes).into_string());
            }
        }
    }
}
