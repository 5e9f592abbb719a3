#!/usr/bin/env bash
# Makes the three sample documents beside this script from the pages in source/.
#
#   ./make.sh          writes payslip.pdf, certificate-photo.jpg and signed-forms.tiff here
#   ./make.sh DIR      writes them into DIR instead, to compare with the committed ones
#
# Debian 12 packages it needs:
#   imagemagick             convert: the photograph, and the fax's specks and one-bit pages
#   libtiff-tools           tiffcp, tiffset, tiffinfo: the fax's pages put into one file
#   poppler-utils           pdftoppm, pdfinfo: typeset pages to pixels
#   libimage-exiftool-perl  exiftool: the photograph's EXIF header
#   fonts-noto-core fonts-dejavu-core                 the fonts of the pages
#   libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fontconfig   libraries of WeasyPrint
#   python3-venv            WeasyPrint itself is installed with pip into a temporary folder
#
# WeasyPrint is pinned by source/requirements.txt and does not come from Debian 12, whose 57.2 draws
# Hebrew correctly but writes a broken text layer under it (nothing can be searched or copied).
# WEASYPRINT=/path/to/weasyprint uses one that is already installed, and then no network is needed.
# CONVERT=/path/to/convert (default /usr/bin/convert) chooses another ImageMagick 6 or 7.
#
# Dates and random seeds are fixed, so that the same tools write the same bytes.

set -euo pipefail
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
src=$here/source
out=${1:-$here}
mkdir -p "$out"
out=$(cd "$out" && pwd)

export LC_ALL=C.UTF-8 TZ=UTC
export SOURCE_DATE_EPOCH=1744189200       # 9 April 2025, 09:00 UTC: the made-up date of the documents
export MAGICK_THREAD_LIMIT=1 OMP_NUM_THREADS=1   # seeded noise is the same only on one thread

convert=${CONVERT:-/usr/bin/convert}
for tool in "$convert" tiffcp tiffset tiffinfo pdftoppm pdfinfo exiftool fc-list; do
  command -v "$tool" >/dev/null || { echo "make.sh: $tool is missing; see the packages named in this script" >&2; exit 1; }
done
[[ $("$convert" -version) == *ImageMagick* ]] || { echo "make.sh: $convert is not ImageMagick" >&2; exit 1; }
for font in 'Noto Sans' 'Noto Sans Hebrew' 'DejaVu Sans Mono'; do
  [[ -n $(fc-list "$font") ]] || { echo "make.sh: the font $font is missing" >&2; exit 1; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"                                # tools see short relative names, so no path gets into a file

if [[ -n ${WEASYPRINT:-} ]]; then
  weasyprint=$WEASYPRINT
else
  python3 -m venv venv
  venv/bin/pip --quiet --disable-pip-version-check install --only-binary :all: -r "$src/requirements.txt"
  weasyprint=$work/venv/bin/weasyprint
fi

# --- 1. payslip.pdf: HTML to PDF, fonts embedded and subset -------------------------------------

"$weasyprint" --quiet "$src/payslip.html" payslip.pdf

# --- 2. certificate-photo.jpg: a page lying on a table ------------------------------------------

"$weasyprint" --quiet "$src/certificate.html" certificate.pdf
pdftoppm -r 150 -png -singlefile certificate.pdf certificate     # 1240 x 1754

# The table: brown noise drawn out into a wood grain, with the seams of three boards.
"$convert" -size 300x1900 xc:'gray(50%)' -seed 7 +noise Gaussian -colorspace Gray \
  -blur 0x0.7 -motion-blur 0x60+90 -normalize -resize '1200x1900!' \
  -gravity center -crop 1200x1600+0+0 +repage -swirl 6 +level-colors '#4d2f1b','#a5754a' -blur 0x0.6 \
  -fill none -stroke '#2e1a0d' -strokewidth 4 -draw 'line 250,0 215,1600 line 1010,0 1040,1600' table.png

# The page in perspective, as seen by someone leaning over it, slightly turned.
"$convert" certificate.png -alpha set -virtual-pixel transparent \
  -define distort:viewport=1200x1600+0+0 \
  -distort Perspective '0,0 176,150  1239,0 1046,112  1239,1753 1118,1466  0,1753 92,1502' page.png
"$convert" page.png -alpha extract shape.png

# Its shadow on the table, then the page itself, its white made warm as by a kitchen lamp.
"$convert" -size 1200x1600 xc:'#140a04' \
  \( shape.png -blur 0x14 -evaluate multiply 0.65 \) -alpha off -compose CopyOpacity -composite shadow.png
"$convert" page.png -channel RGB +level-colors '#1a1613','#f4ecdc' +channel paper.png
"$convert" table.png shadow.png -geometry +14+18 -compose over -composite \
  paper.png -geometry +0+0 -compose over -composite scene.png

# Uneven light: bright at the upper left, darker at the lower right, and the soft shadow of a hand and
# telephone across one corner.
"$convert" -size 1200x1600 xc: -sparse-color Bilinear \
  '0,0 gray(100%) 1199,0 gray(88%) 0,1599 gray(86%) 1199,1599 gray(58%)' -colorspace Gray light.png
"$convert" -size 1200x1600 xc:white -fill 'gray(80%)' -stroke none \
  -draw 'polygon 1200,1010 860,1230 770,1600 1200,1600' -blur 0x55 hand.png

# Light on the scene, a slight loss of focus, the sensor's noise; then turned on its side, which is how a
# telephone held upright stores its pixels (the EXIF Orientation below turns it back).
"$convert" scene.png light.png -compose multiply -composite hand.png -compose multiply -composite \
  -blur 0x0.55 -seed 11 -attenuate 0.12 +noise Gaussian \
  -rotate -90 +repage -alpha off -strip -density 72 -units PixelsPerInch \
  -sampling-factor 2x2 -quality 58 -interlace none certificate-photo.jpg

# Orientation 6: turn by 90 degrees clockwise to see it upright. No GPS, no thumbnail.
exiftool -q -overwrite_original -n \
  -IFD0:Make='Fictional' -IFD0:Model='Fictional Phone' -IFD0:Software='Fictional Camera 1.0' \
  -IFD0:ImageDescription='FICTIONAL SAMPLE' -IFD0:Orientation=6 \
  -IFD0:XResolution=72 -IFD0:YResolution=72 -IFD0:ResolutionUnit=2 \
  -IFD0:ModifyDate='2025:04:06 10:15:00' -ExifIFD:DateTimeOriginal='2025:04:06 10:15:00' \
  -ExifIFD:CreateDate='2025:04:06 10:15:00' -ExifIFD:ExposureTime=0.02 -ExifIFD:FNumber=1.8 \
  -ExifIFD:ISO=320 -ExifIFD:FocalLength=4.2 -ExifIFD:Flash=16 -ExifIFD:ColorSpace=1 \
  -ExifIFD:ExifImageWidth=1600 -ExifIFD:ExifImageHeight=1200 certificate-photo.jpg

# --- 3. signed-forms.tiff: three fax pages, one bit a pixel, CCITT Group 4, 200 dpi --------------

"$weasyprint" --quiet "$src/signed-forms.html" forms.pdf
pdftoppm -r 200 -gray forms.pdf form                             # form-1.pgm to form-3.pgm, 1654 x 2339
turn=(0 0.35 -0.25 0.15)                                         # each page went in a little askew
for n in 1 2 3; do
  # The specks: noise, of which only the rare peaks remain.
  "$convert" -size 1654x2339 xc:'gray(50%)' -seed "$n" +noise Gaussian -colorspace Gray \
    -blur 0x0.8 -normalize -threshold 2.2% "specks-$n.pgm"
  "$convert" "form-$n.pgm" -background white -virtual-pixel white -distort SRT "${turn[$n]}" \
    -threshold 62% "specks-$n.pgm" -compose multiply -composite \
    -strip -type bilevel -density 200 -units PixelsPerInch \
    -compress Group4 "fax-$n.tif"
done
tiffcp -c g4 fax-1.tif fax-2.tif fax-3.tif signed-forms.tiff
for n in 0 1 2; do                                               # 269 is DocumentName: our temporary file names
  tiffset -d "$n" -u 269 signed-forms.tiff
done

# --- check, then put them in place ---------------------------------------------------------------

fail() { echo "make.sh: $1" >&2; exit 1; }
[[ $(pdfinfo payslip.pdf) =~ Pages:\ +3 ]] || fail 'payslip.pdf has not 3 pages'
[[ $(tiffinfo signed-forms.tiff | grep -c 'Compression Scheme: CCITT Group 4') == 3 ]] || fail 'signed-forms.tiff has not 3 Group 4 pages'
[[ $(exiftool -n -s3 -Orientation certificate-photo.jpg) == 6 ]] || fail 'certificate-photo.jpg has the wrong orientation'
install -m 644 payslip.pdf certificate-photo.jpg signed-forms.tiff "$out/"
cd "$out" && ls -l payslip.pdf certificate-photo.jpg signed-forms.tiff
