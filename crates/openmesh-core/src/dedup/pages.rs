//! Cells by slot, in pages that stay where they are: a table grows without being copied.

/// Cells of one page, as a power of two.
const PAGE_BITS: u32 = 10;
const PAGE_CELLS: usize = 1 << PAGE_BITS;
/// The first page grows by this part of itself.
const GROWTH_PART: usize = 8;

/// What is known of an id; number and time as distances from a base.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cell {
    pub(super) id: u64,
    pub(super) check: u64,
    pub(super) seq: u32,
    pub(super) time: u32,
}

/// Cells by slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    pages: Vec<Vec<Cell>>,
    cells: usize,
}

impl Pages {
    pub(super) const fn len(&self) -> usize {
        self.cells
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Cell> {
        self.pages.get((slot >> PAGE_BITS) as usize)?.get(slot as usize % PAGE_CELLS)
    }

    /// The id in a slot.
    pub(super) fn id(&self, slot: u32) -> u64 {
        self.get(slot).map_or(0, |cell| cell.id)
    }

    /// Writes a slot: one that is there, or the next.
    pub(super) fn set(&mut self, slot: u32, cell: Cell) {
        let page = self.pages.get_mut((slot >> PAGE_BITS) as usize);
        if let Some(held) = page.and_then(|page| page.get_mut(slot as usize % PAGE_CELLS)) {
            *held = cell;
            return;
        }
        if self.pages.last().is_none_or(|page| page.len() == PAGE_CELLS) {
            let room = if self.pages.is_empty() { 0 } else { PAGE_CELLS };
            self.pages.push(Vec::with_capacity(room));
        }
        if let Some(page) = self.pages.last_mut() {
            if page.len() == page.capacity() {
                page.reserve_exact((page.len() / GROWTH_PART + 1).min(PAGE_CELLS - page.len()));
            }
            page.push(cell);
            self.cells += 1;
        }
    }
}
