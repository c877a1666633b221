//! Cells by slot, in pages that stay where they are: a table grows without being copied.

use crate::state::column::Column;

/// Cells of one page, as a power of two: as many numbers of eight bytes as fit 4 KiB, of which allocators waste nothing.
const PAGE_BITS: u32 = 9;
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
    pages: Vec<Page>,
    cells: usize,
}

/// Some cells. Ids are looked at far more often than the rest, and stand together.
#[derive(Clone, Debug, Default)]
struct Page {
    ids: Vec<u64>,
    checks: Vec<u64>,
    seqs: Column<1>,
    times: Column<0>,
}

impl Pages {
    pub(super) const fn len(&self) -> usize {
        self.cells
    }

    pub(super) fn get(&self, slot: u32) -> Option<Cell> {
        self.pages.get((slot >> PAGE_BITS) as usize)?.get(slot as usize % PAGE_CELLS)
    }

    /// The id in a slot.
    pub(super) fn id(&self, slot: u32) -> u64 {
        let page = self.pages.get((slot >> PAGE_BITS) as usize);
        page.and_then(|page| page.ids.get(slot as usize % PAGE_CELLS)).copied().unwrap_or_default()
    }

    /// Writes a slot: one that is there, or the next.
    pub(super) fn set(&mut self, slot: u32, cell: Cell) {
        let page = self.pages.get_mut((slot >> PAGE_BITS) as usize);
        if page.is_some_and(|page| page.set(slot as usize % PAGE_CELLS, cell)) {
            return;
        }
        if self.pages.last().is_none_or(|page| page.ids.len() == PAGE_CELLS) {
            let room = if self.pages.is_empty() { 0 } else { PAGE_CELLS };
            self.pages.push(Page::with_room(room));
        }
        if let Some(page) = self.pages.last_mut() {
            page.push(cell);
            self.cells += 1;
        }
    }
}

impl Page {
    fn with_room(cells: usize) -> Self {
        Self { ids: Vec::with_capacity(cells), checks: Vec::with_capacity(cells), ..Self::default() }
    }

    fn get(&self, place: usize) -> Option<Cell> {
        let (id, check) = self.ids.get(place).zip(self.checks.get(place))?;
        Some(Cell { id: *id, check: *check, seq: self.seqs.get(place), time: self.times.get(place) })
    }

    /// Writes a cell that is there; whether it is.
    fn set(&mut self, place: usize, cell: Cell) -> bool {
        let Some((id, check)) = self.ids.get_mut(place).zip(self.checks.get_mut(place)) else { return false };
        (*id, *check) = (cell.id, cell.check);
        self.seqs.set(place, cell.seq);
        self.times.set(place, cell.time);
        true
    }

    fn push(&mut self, cell: Cell) {
        if self.ids.len() == self.ids.capacity() {
            let room = (self.ids.len() / GROWTH_PART + 1).min(PAGE_CELLS - self.ids.len());
            self.ids.reserve_exact(room);
            self.checks.reserve_exact(room);
        }
        self.ids.push(cell.id);
        self.checks.push(cell.check);
        self.seqs.push(cell.seq);
        self.times.push(cell.time);
    }
}
