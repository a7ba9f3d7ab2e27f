#include "channels.h"

#include <algorithm>
#include <cmath>

#include "gates.h"

namespace proxima {

const Transfer NO_CHANNEL = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};

Transfer transfer_of(const std::vector<Matrix>& kraus) {
    Transfer out{};
    for (int b = 0; b < 4; ++b)
        for (const Matrix& k : kraus) {
            const Matrix image = k * pauli(b) * adjoint(k);
            for (int a = 0; a < 4; ++a) {
                const Matrix product = pauli(a) * image;
                out[4 * a + b] += 0.5 * (product(0, 0) + product(1, 1)).real();
            }
        }
    return out;
}

std::vector<double> transfer_matrix(const std::vector<Matrix>& kraus) {
    const int size = kraus[0].size;
    const size_t strings = size_t(size) * size;
    // Row j of the string b has its one entry, phases[j], in column j ^ flip.
    const auto string = [&](size_t b, std::vector<Complex>& phases) {
        int flip = 0;
        phases.assign(size, 1);
        for (int q = 0; 1 << q < size; ++q) {
            const Matrix& letter = pauli(int(b >> 2 * q & 3));
            const int flips = letter(0, 0) == 0.0;
            flip |= flips << q;
            for (int j = 0; j < size; ++j) phases[j] *= letter(j >> q & 1, (j >> q & 1) ^ flips);
        }
        return flip;
    };
    std::vector<double> out(strings * strings);
    std::vector<Complex> phases;
    Matrix left(size), image(size);
    for (size_t b = 0; b < strings; ++b) {
        const int flip = string(b, phases);
        std::fill(image.at.begin(), image.at.end(), Complex());
        for (const Matrix& k : kraus) {
            for (int i = 0; i < size; ++i)
                for (int j = 0; j < size; ++j) left(i, j ^ flip) = k(i, j) * phases[j];
            for (int i = 0; i < size; ++i)
                for (int j = 0; j < size; ++j) {
                    Complex sum = 0;
                    for (int m = 0; m < size; ++m) sum += left(i, m) * std::conj(k(j, m));
                    image(i, j) += sum;
                }
        }
        for (size_t a = 0; a < strings; ++a) {
            const int turn = string(a, phases);
            Complex trace = 0;
            for (int j = 0; j < size; ++j) trace += phases[j] * image(j ^ turn, j);
            out[a * strings + b] = trace.real() / size;
        }
    }
    return out;
}

Transfer after(const Transfer& second, const Transfer& first) {
    Transfer out{};
    for (int a = 0; a < 4; ++a)
        for (int k = 0; k < 4; ++k)
            for (int b = 0; b < 4; ++b) out[4 * a + b] += second[4 * a + k] * first[4 * k + b];
    return out;
}

Transfer transposed(const Transfer& a) {
    Transfer out;
    for (int row = 0; row < 4; ++row)
        for (int column = 0; column < 4; ++column) out[4 * column + row] = a[4 * row + column];
    return out;
}

bool is_pauli(const Transfer& a) {
    for (int k = 0; k < 16; ++k)
        if (k % 5 && std::abs(a[k]) > 1e-15) return false;
    return true;
}

namespace {

// The Kraus operators of a channel with the given Choi matrix, the largest first; those of no weight left out.
std::vector<Matrix> kraus_of_choi(const Matrix& choi, int size) {
    const Eigen eigen = hermitian_eigen(choi);
    std::vector<Matrix> out;
    for (int k = 0; k < choi.size && eigen.values[k] > 1e-15 * size; ++k) {
        Matrix matrix(size);
        for (int e = 0; e < size * size; ++e) matrix.at[e] = std::sqrt(eigen.values[k]) * eigen.vectors(e, k);
        out.push_back(matrix);
    }
    return out;
}

// The sum over the operators of vec(K) vec(K)^dagger, vec row by row.
Matrix choi_of(const std::vector<Matrix>& kraus) {
    const int size = int(kraus[0].at.size());
    Matrix out(size);
    for (const Matrix& k : kraus)
        for (int a = 0; a < size; ++a)
            for (int b = 0; b < size; ++b) out(a, b) += k.at[a] * std::conj(k.at[b]);
    return out;
}

Channel described(std::vector<int> qubits, std::vector<Matrix> kraus) {
    Channel out;
    out.qubits = std::move(qubits);
    const double size = kraus[0].size;
    for (const Matrix& k : kraus) {
        if (!is_scalar(adjoint(k) * k)) {
            out.probabilities.clear();
            break;
        }
        out.probabilities.push_back(frobenius(k) / size);
    }
    out.keeps_first = is_scalar(kraus[0]);
    out.error = std::max(0.0, 1 - frobenius(kraus[0]) / size);
    out.kraus = std::move(kraus);
    return out;
}

}  // namespace

Channel channel_of(std::vector<int> qubits, std::vector<Matrix> kraus) {
    std::stable_sort(kraus.begin(), kraus.end(),
                     [](const Matrix& a, const Matrix& b) { return frobenius(a) > frobenius(b); });
    while (kraus.size() > 1 && frobenius(kraus.back()) < 1e-30) kraus.pop_back();
    // A mixture of Pauli operators has orthogonal Kraus operators already; others are made so while that is cheap.
    bool orthogonal = true;
    for (size_t a = 0; orthogonal && a < kraus.size() && kraus.size() <= 256; ++a)
        for (size_t b = 0; orthogonal && b < a; ++b) {
            Complex product = 0;
            for (size_t e = 0; e < kraus[a].at.size(); ++e) product += std::conj(kraus[a].at[e]) * kraus[b].at[e];
            orthogonal = std::abs(product) < 1e-15;
        }
    if (!orthogonal && kraus[0].size <= 4) kraus = kraus_of_choi(choi_of(kraus), kraus[0].size);
    return described(std::move(qubits), std::move(kraus));
}

Channel channel_of(int qubit, const Transfer& r) {
    if (is_pauli(r)) {  // its probabilities are the eigenvalues' Walsh-Hadamard transform
        const double x = r[5], y = r[10], z = r[15];
        const double weights[4] = {(1 + x + y + z) / 4, (1 + x - y - z) / 4, (1 - x + y - z) / 4, (1 - x - y + z) / 4};
        std::vector<Matrix> kraus;
        for (int k = 0; k < 4; ++k)
            if (weights[k] > 1e-15) kraus.push_back(std::sqrt(weights[k]) * pauli(k));
        return channel_of({qubit}, std::move(kraus));
    }
    // E(|i><j|) from its transfer matrix, and so the Choi matrix: its element (2i' + i, 2j' + j) is <i'|E(|i><j|)|j'>.
    Matrix choi(4);
    for (int a = 0; a < 4; ++a)
        for (int b = 0; b < 4; ++b)
            for (int row = 0; row < 4; ++row)
                for (int column = 0; column < 4; ++column)
                    choi(row, column) += 0.5 * r[4 * a + b] * pauli(a)(row / 2, column / 2) *
                                         std::conj(pauli(b)(row % 2, column % 2));
    return described({qubit}, kraus_of_choi(choi, 2));
}

bool conjugate(const Matrix& unitary, const Transfer& a, const Transfer& b, std::array<double, 16>& eigenvalues) {
    static const std::vector<Matrix> strings = [] {
        std::vector<Matrix> out;
        for (int t = 0; t < 16; ++t) out.push_back(kron(pauli(t / 4), pauli(t % 4)));
        return out;
    }();
    const Matrix inverse = adjoint(unitary);
    for (int s = 0; s < 16; ++s) {
        // U^dagger P_s U in Pauli strings: the channel's dual multiplies each by its own eigenvalue.
        const Matrix image = inverse * strings[s] * unitary;
        double low = 2, high = -2;
        for (int t = 0; t < 16; ++t) {
            Complex trace = 0;
            for (int row = 0; row < 4; ++row)
                for (int column = 0; column < 4; ++column) trace += strings[t](row, column) * image(column, row);
            if (std::abs(trace) < 1e-12) continue;
            const double eigenvalue = b[5 * (t / 4)] * a[5 * (t % 4)];
            low = std::min(low, eigenvalue);
            high = std::max(high, eigenvalue);
        }
        if (high - low > 1e-15) return false;
        eigenvalues[s] = high;
    }
    return true;
}

}  // namespace proxima
