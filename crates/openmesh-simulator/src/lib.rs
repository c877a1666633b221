//! A partition under a seed: lost, reordered and repeated inputs, crashes, clock jumps; a reference model beside it.
