// What a run writes down so that it can be gone back over (adjoint.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "columns.h"
#include "plan.h"

namespace proxima {

// A channel: which columns it made. The first operator's columns are those that there were.
template <typename Tile>
struct Branching {
    size_t parents;
    std::vector<Piece> pieces;  // by parent
    double factor;              // by which the operators were multiplied when the columns were made
    bool scales;                // the first operator multiplied all columns by 1 / factor, through the factor's scale
    Matrix inverse;             // of the first operator, where that is not nearly singular
    std::vector<Tile> before;   // else the columns
};

// A truncation L -> L W, and the columns as they were.
template <typename Tile>
struct Truncation {
    size_t step;  // of the plan
    size_t rank;
    std::vector<std::vector<double>> re, im;  // of W^dagger, a row for each new column
    std::vector<Tile> before;
};

template <typename Tile>
struct Tape {
    std::vector<Plan> plans;
    size_t step = 0;  // of the plan that is carried out
    std::vector<std::variant<Branching<Tile>, Truncation<Tile>>> entries;
};

// A Pauli sum: (-1)^popcount(row & z) [row ^ x], with these factors.
struct PauliTerms {
    std::vector<uint64_t> x, z;
    std::vector<Complex> factors;
};

// The values of Pauli sums, and their derivatives by each parameter: row by row, one row for each sum.
struct Gradient {
    std::vector<double> values, slopes;
};

}  // namespace proxima
