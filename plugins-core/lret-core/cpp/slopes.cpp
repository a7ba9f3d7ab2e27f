#include "slopes.h"

#include <algorithm>
#include <cmath>

#include "gates.h"

namespace proxima {
namespace {

template <typename Product>
Varying product(const Varying& a, const Varying& b, Product multiply) {
    Varying out{multiply(a.value, b.value), {}};
    const auto add = [&](int parameter, const Matrix& matrix) {
        const auto same = std::find_if(out.slopes.begin(), out.slopes.end(),
                                       [&](const Slope& slope) { return slope.parameter == parameter; });
        if (same == out.slopes.end()) {
            out.slopes.push_back({parameter, matrix});
        } else {
            for (size_t e = 0; e < matrix.at.size(); ++e) same->matrix.at[e] += matrix.at[e];
        }
    };
    for (const Slope& slope : a.slopes) add(slope.parameter, multiply(slope.matrix, b.value));
    for (const Slope& slope : b.slopes) add(slope.parameter, multiply(a.value, slope.matrix));
    return out;
}

// R[a][b] = tr(P_a U P_b U^dagger) / 2, differentiated.
Transfer slope_of_transfer(const Matrix& unitary, const Matrix& slope) {
    Transfer out{};
    const Matrix inverse = adjoint(unitary);
    for (int b = 0; b < 4; ++b) {
        const Matrix image = slope * pauli(b) * inverse;
        for (int a = 0; a < 4; ++a) {
            const Matrix product = pauli(a) * image;
            out[4 * a + b] = (product(0, 0) + product(1, 1)).real();
        }
    }
    return out;
}

}  // namespace

Varying operator*(const Varying& a, const Varying& b) {
    return product(a, b, [](const Matrix& x, const Matrix& y) { return x * y; });
}

Varying kron(const Varying& high, const Varying& low) {
    return product(high, low, [](const Matrix& x, const Matrix& y) { return kron(x, y); });
}

// Each entry is a sum of a constant and of the cosine and sine of the angle and of half of it, for which differences at
// two distances give the derivative exactly.
Matrix slope_of(int op, const double* params, int count, int which) {
    const auto difference = [&](double distance) {
        std::vector<double> above(params, params + count), below = above;
        above[size_t(which)] += distance;
        below[size_t(which)] -= distance;
        Matrix out = unitary_of(op, above.data());
        const Matrix other = unitary_of(op, below.data());
        for (size_t e = 0; e < out.at.size(); ++e) out.at[e] -= other.at[e];
        return out;
    };
    const double pi = std::acos(-1.0);
    Matrix out = 0.5 * difference(pi / 2);
    const Matrix far = 0.25 * (1 - std::sqrt(2.0)) * difference(pi);
    for (size_t e = 0; e < out.at.size(); ++e) out.at[e] += far.at[e];
    return out;
}

bool turns(const Varying& unitary, const Transfer& channel, bool back) {
    if (unitary.slopes.empty()) return false;
    const Transfer turned = transfer_of({unitary.value});
    const Transfer left = back ? transposed(turned) : turned, right = transposed(left);
    for (const Slope& slope : unitary.slopes) {
        const Transfer changed = slope_of_transfer(unitary.value, slope.matrix);
        const Transfer left_slope = back ? transposed(changed) : changed, right_slope = transposed(left_slope);
        const Transfer first = after(left_slope, after(channel, right)), second = after(left, after(channel, right_slope));
        for (int e = 0; e < 16; ++e)
            if (std::abs(first[e] + second[e]) > 1e-12) return true;
    }
    return false;
}

}  // namespace proxima
