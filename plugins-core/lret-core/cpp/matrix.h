// Small dense complex matrices: gates, Kraus operators, and the eigenproblem of a channel's Choi matrix.
#pragma once

#include <complex>
#include <vector>

namespace proxima {

using Complex = std::complex<double>;

struct Matrix {
    int size = 0;
    std::vector<Complex> at;  // row-major

    Matrix() = default;
    explicit Matrix(int size) : size(size), at(size_t(size) * size) {}
    Matrix(int size, std::vector<Complex> entries) : size(size), at(std::move(entries)) {}
    static Matrix identity(int size);

    Complex& operator()(int row, int column) { return at[size_t(row) * size + column]; }
    const Complex& operator()(int row, int column) const { return at[size_t(row) * size + column]; }
};

Matrix operator*(const Matrix& a, const Matrix& b);
Matrix operator*(Complex factor, Matrix a);
Matrix adjoint(const Matrix& a);
Matrix kron(const Matrix& high, const Matrix& low);  // `low` on the less significant bits of the index
double frobenius(const Matrix& a);                   // the sum of the squared entries

// True where a is a multiple of the identity to 1e-14.
bool is_scalar(const Matrix& a);

struct Eigen {
    std::vector<double> values;  // descending
    Matrix vectors;              // in columns
};

// The eigenvalues and eigenvectors of a Hermitian matrix, by cyclic Jacobi rotations: for sizes up to 16.
Eigen hermitian_eigen(Matrix a);

}  // namespace proxima
