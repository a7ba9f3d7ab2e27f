// Unitaries that depend on a circuit's open parameters, with their derivatives.
#pragma once

#include <vector>

#include "channels.h"
#include "matrix.h"

namespace proxima {

// The derivative by one parameter.
struct Slope {
    int parameter;
    Matrix matrix;
};

// A unitary and its slopes; the product rule holds for products and Kronecker products.
struct Varying {
    Matrix value;
    std::vector<Slope> slopes;
};

Varying operator*(const Varying& a, const Varying& b);
Varying kron(const Varying& high, const Varying& low);

// The derivative of a gate by its parameter `which` of `count`.
Matrix slope_of(int op, const double* params, int count, int which);

// Whether a channel carried through a unitary on one qubit, U E U^dagger, depends on the unitary's parameters to first
// order; with `back`, U^dagger E U.
bool turns(const Varying& unitary, const Transfer& channel, bool back);

}  // namespace proxima
