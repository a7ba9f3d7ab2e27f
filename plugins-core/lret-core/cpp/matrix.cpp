#include "matrix.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace proxima {

Matrix Matrix::identity(int size) {
    Matrix out(size);
    for (int i = 0; i < size; ++i) out(i, i) = 1;
    return out;
}

Matrix operator*(const Matrix& a, const Matrix& b) {
    Matrix out(a.size);
    for (int i = 0; i < a.size; ++i)
        for (int k = 0; k < a.size; ++k)
            for (int j = 0; j < a.size; ++j) out(i, j) += a(i, k) * b(k, j);
    return out;
}

Matrix operator*(Complex factor, Matrix a) {
    for (Complex& entry : a.at) entry *= factor;
    return a;
}

Matrix adjoint(const Matrix& a) {
    Matrix out(a.size);
    for (int i = 0; i < a.size; ++i)
        for (int j = 0; j < a.size; ++j) out(j, i) = std::conj(a(i, j));
    return out;
}

Matrix kron(const Matrix& high, const Matrix& low) {
    Matrix out(high.size * low.size);
    for (int i = 0; i < out.size; ++i)
        for (int j = 0; j < out.size; ++j)
            out(i, j) = high(i / low.size, j / low.size) * low(i % low.size, j % low.size);
    return out;
}

double frobenius(const Matrix& a) {
    return std::accumulate(a.at.begin(), a.at.end(), 0.0, [](double sum, Complex c) { return sum + std::norm(c); });
}

bool is_scalar(const Matrix& a) {
    for (int i = 0; i < a.size; ++i)
        for (int j = 0; j < a.size; ++j)
            if (std::abs(a(i, j) - (i == j ? a(0, 0) : 0.0)) > 1e-14) return false;
    return true;
}

Eigen hermitian_eigen(Matrix a) {
    const int n = a.size;
    Matrix v = Matrix::identity(n);
    for (int sweep = 0; sweep < 60; ++sweep) {
        double off = 0, all = 0;
        for (int i = 0; i < n; ++i)
            for (int j = 0; j < n; ++j) (i == j ? all : off) += std::norm(a(i, j));
        if (off <= 1e-34 * all) break;
        for (int p = 0; p < n; ++p)
            for (int q = p + 1; q < n; ++q) {
                const double size = std::abs(a(p, q));
                if (size <= 1e-300) continue;
                const Complex phase = a(p, q) / size;
                const double half = 0.5 * std::atan2(2 * size, (a(p, p) - a(q, q)).real());
                const double c = std::cos(half), s = std::sin(half);
                // The columns p and q of the rotation: (c, s conj(phase)) and (-s phase, c).
                for (int i = 0; i < n; ++i) {
                    const Complex x = a(i, p), y = a(i, q);
                    a(i, p) = c * x + s * std::conj(phase) * y;
                    a(i, q) = -s * phase * x + c * y;
                    const Complex f = v(i, p), g = v(i, q);
                    v(i, p) = c * f + s * std::conj(phase) * g;
                    v(i, q) = -s * phase * f + c * g;
                }
                for (int i = 0; i < n; ++i) {
                    const Complex x = a(p, i), y = a(q, i);
                    a(p, i) = c * x + s * phase * y;
                    a(q, i) = -s * std::conj(phase) * x + c * y;
                }
            }
    }
    std::vector<int> order(n);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int x, int y) { return a(x, x).real() > a(y, y).real(); });
    Eigen out{std::vector<double>(n), Matrix(n)};
    for (int j = 0; j < n; ++j) {
        out.values[j] = a(order[j], order[j]).real();
        for (int i = 0; i < n; ++i) out.vectors(i, j) = v(i, order[j]);
    }
    return out;
}

}  // namespace proxima
